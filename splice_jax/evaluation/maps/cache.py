"""The cached maps of an evaluation, and what they were made from.

A folder of maps holds, for each row, ROW/IMAGE.png (16 bits), ROW/IMAGE.labels.npy where a network labels its patches,
and ROW.json, which is written last: what the maps were made from, their checksums, the seconds that they took, and for
images that the row can say nothing about the reason instead of a map.
"""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt16
from PIL import Image

from splice_jax.errors import UserError, listed, one_line
from splice_jax.files import replacing
from splice_jax.images import encode_png

Levels = UInt16[np.ndarray, "height width"]


@dataclass(frozen=True)
class MapRecord:
    """One map of a row."""

    image: str
    sha256: str
    """Of the PNG file; empty where there is none."""
    seconds: float
    labels: bool = False
    """Whether the label head's probabilities stand beside it."""
    undefined: str = ""
    """Why there is no map."""
    beside: Mapping[str, float] = field(default_factory=dict)
    """What the localizer scores beside the map, see `Found.scores`."""


@dataclass(frozen=True)
class RowRecord:
    """All maps of a row, in the order of the split."""

    made_from: Mapping[str, Any]
    patches: tuple[int, str] | None
    """Stride and border of the grid that a label head looked at; None without one."""
    maps: tuple[MapRecord, ...]


def map_path(maps: Path, row: str, image: str) -> Path:
    """Where the 16-bit map of a row on an image is cached."""
    return maps / row / f"{image.replace('/', '__')}.png"


def labels_path(maps: Path, row: str, image: str) -> Path:
    """Where the label head's probabilities are cached."""
    return map_path(maps, row, image).with_suffix(".labels.npy")


def write_map(path: Path, levels: Levels) -> str:
    """Writes a map; returns the checksum of its file."""
    encoded = encode_png(levels)
    with replacing(path) as temporary:
        temporary.write_bytes(encoded)
    return hashlib.sha256(encoded).hexdigest()


def read_map(path: Path, sha256: str | None = None) -> Levels:
    """A cached map, exactly as it was scored.

    Raises:
      UserError: it is missing or, where a checksum is given, is another file than the one that was written.
    """
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: no such map; evaluate without --config.rescore") from error
    if sha256 is not None and hashlib.sha256(encoded).hexdigest() != sha256:
        raise UserError(f"{path}: was changed after it was made; evaluate without --config.rescore")
    with Image.open(io.BytesIO(encoded)) as picture:
        return np.array(picture).astype(np.uint16)


def write_labels(path: Path, probability: Float32[np.ndarray, "rows columns"]) -> None:
    """Caches what a label head said."""
    with replacing(path) as temporary:
        np.save(temporary, probability)


def read_labels(path: Path) -> Float32[np.ndarray, "rows columns"]:
    """What `write_labels` wrote.

    Raises:
      UserError: it is missing or damaged.
    """
    try:
        return np.load(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({one_line(error)}); evaluate without --config.rescore") from error


def begin(maps: Path, rows: Sequence[str]) -> None:
    """Takes rows for incomplete until `finish`."""
    for row in rows:
        _record_path(maps, row).unlink(missing_ok=True)


def finish(maps: Path, row: str, record: RowRecord) -> None:
    """Says that all maps of a row are there, and what they were made from."""
    with replacing(_record_path(maps, row)) as temporary:
        temporary.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")


def read_record(maps: Path, row: str) -> RowRecord:
    """What `finish` wrote.

    Raises:
      UserError: the row's maps are missing or incomplete.
    """
    path = _record_path(maps, row)
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        patches, records = fields["patches"], tuple(MapRecord(**each) for each in fields["maps"])
        return RowRecord(fields["made_from"], tuple(patches) if patches else None, records)
    except FileNotFoundError as error:
        raise UserError(f"{maps}: no complete maps of {row} there; evaluate without --config.rescore") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read ({one_line(error)}); evaluate without --config.rescore") from error


def require(maps: Path, row: str, made_from: Mapping[str, Any]) -> RowRecord:
    """The record of a row whose maps are what would be made now.

    Raises:
      UserError: they are missing, or were made from something else, which is named.
    """
    record = read_record(maps, row)
    expected = json.loads(json.dumps(made_from))
    stale = sorted(name for name in {*expected, *record.made_from} if expected.get(name) != record.made_from.get(name))
    if stale:
        raise UserError(
            f"{_record_path(maps, row)}: stale maps, made from another {listed(stale)}; "
            "evaluate without --config.rescore"
        )
    return record


def _record_path(maps: Path, row: str) -> Path:
    return maps / f"{row}.json"
