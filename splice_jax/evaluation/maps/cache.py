"""The files in a folder of maps: ROW/IMAGE.png (16 bits) and, if a network labels its patches, ROW/IMAGE.labels.npy.

What they were made from is recorded next to them, see `records`.
"""

import hashlib
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt16

from splice_jax.errors import UserError, one_line
from splice_jax.files import replacing
from splice_jax.images import encode_png
from splice_jax.images.reading import read_stored

Levels = UInt16[np.ndarray, "height width"]


def map_path(maps: Path, row: str, image: str) -> Path:
    """Where a row's 16-bit map of an image is cached."""
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
      UserError: the map is missing, damaged or, if a checksum is given, was changed after it was written.
    """
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: no such map; evaluate without --config.rescore") from error
    if sha256 is not None and hashlib.sha256(encoded).hexdigest() != sha256:
        raise UserError(f"{path}: was changed after it was made; evaluate without --config.rescore")
    levels = read_stored(encoded, str(path)).values
    if levels.ndim != 2:
        raise UserError(f"{path}: a picture in colours, no map; evaluate without --config.rescore")
    return levels.astype(np.uint16, copy=False)


def write_labels(path: Path, probability: Float32[np.ndarray, "rows columns"]) -> None:
    """Caches a label head's probabilities."""
    with replacing(path) as temporary:
        np.save(temporary, probability)


def read_labels(path: Path) -> Float32[np.ndarray, "rows columns"]:
    """The probabilities that `write_labels` wrote.

    Raises:
      UserError: it is missing or damaged.
    """
    try:
        with open(path, "rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # NumPy parses the header as Python, and raises what that does.
        raise UserError(f"{path}: cannot be read ({one_line(error)}); evaluate without --config.rescore") from error
