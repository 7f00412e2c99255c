"""Records what a row's cached maps were made from: in ROW.json once they are all there, until then in ROW.jsonl.

ROW.jsonl grows by a line with every map, so that an interrupted evaluation continues where it stopped. Its first line
says what the row is made from; every other line is about one image: its pixels, its map's checksum, the seconds it
took, or why the row is undefined for it. Of several processes, each has a ROW.PART.jsonl, until process 0 puts them
together.
"""

import functools
import glob
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from splice_jax.errors import UserError, listed, one_line
from splice_jax.evaluation.maps import cache
from splice_jax.evaluation.maps.provenance import IMAGES, differing_fields
from splice_jax.evaluation.maps.truth import Truth
from splice_jax.files import parsed_json, replacing, writable_folder


@dataclass(frozen=True)
class MapRecord:
    """One map of a row."""

    image: str
    sha256: str
    """Checksum of the PNG file; empty if there is none."""
    seconds: float
    labels: bool = False
    """Whether the label head's probabilities are stored with it."""
    undefined: str = ""
    """Why there is no map."""
    beside: Mapping[str, float] = field(default_factory=dict)
    """The localizer's own scores, see `Found.further_scores`."""
    pixels: str = ""
    """See `Truth.pixels`; empty in records of earlier versions."""
    score: float | None = None
    """`Found.score`."""


@dataclass(frozen=True)
class RowRecord:
    """All maps of a row, in the order of the split."""

    made_from: Mapping[str, Any]
    patches: tuple[int, str] | None
    """Stride and border of the grid that a label head looked at; None without one."""
    maps: tuple[MapRecord, ...]


def read_record(maps: Path, row: str) -> RowRecord:
    """The record of a row with complete maps.

    Raises:
      UserError: the row's maps are missing or incomplete.
    """
    path = _record_path(maps, row)
    try:
        fields = parsed_json(path.read_text(encoding="utf-8"))
        patches, records = fields["patches"], tuple(MapRecord(**each) for each in fields["maps"])
        return RowRecord(fields["made_from"], tuple(patches) if patches else None, records)
    except FileNotFoundError as error:
        raise UserError(f"{maps}: no complete maps of {row} there; evaluate without --config.rescore") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read ({one_line(error)}); evaluate without --config.rescore") from error


def require(maps: Path, row: str, made_from: Mapping[str, Any]) -> RowRecord:
    """The record of a row whose maps are as they would be made now.

    Raises:
      UserError: the maps are missing, or were made from something else, which is named.
    """
    record = read_record(maps, row)
    stale = differing_fields(made_from, record.made_from)
    if stale:
        raise UserError(
            f"{_record_path(maps, row)}: stale maps, made from another {listed(stale)}; "
            "evaluate without --config.rescore"
        )
    return record


class Journal:
    """The maps of one row: fresh ones from earlier, and new ones entered as they are made."""

    def __init__(
        self,
        maps: Path,
        row: str,
        made_from: Mapping[str, Any],
        truths: Sequence[Truth],
        *,
        anew: bool = False,
        part: str = "",
    ) -> None:
        """Keeps the maps of earlier evaluations that would come out the same again.

        Args:
          maps: the folder.
          row: the row's name.
          made_from: what its maps are made from.
          truths: the images.
          anew: keeps none.
          part: which part of all images these are, as the name of a file; "" if they are all.
        """
        self._maps, self._row, self._made_from, self._truths = maps, row, dict(made_from), truths
        self._path = maps / (f"{row}.{part}.jsonl" if part else f"{row}.jsonl")
        self.entered = {record.image: record for record in ([] if anew else self._fresh())}
        """By image name."""
        if self.entered:
            with replacing(self._path) as temporary:
                temporary.write_text(self._head() + "".join(map(_line, self.entered.values())), encoding="utf-8")
        else:
            self._path.unlink(missing_ok=True)
        if not part:  # Other processes may still read what was recorded before.
            for path in (_record_path(maps, row), *_part_paths(maps, row)):
                path.unlink(missing_ok=True)

    def enter(self, record: MapRecord) -> None:
        """Adds a finished map."""
        head = "" if self.entered else self._head()
        self.entered[record.image] = record
        writable_folder(self._maps)
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(head + _line(record))
        except OSError as error:
            raise UserError(f"{self._path}: cannot be written ({one_line(error)}); free the disk") from error

    def close(self, patches: tuple[int, str] | None) -> None:
        """Records that all maps are there.

        Args:
          patches: stride and border of the grid that a label head looked at; None without one.
        """
        records = tuple(self.entered[truth.name] for truth in self._truths)
        with replacing(_record_path(self._maps, self._row)) as temporary:
            content = asdict(RowRecord(self._made_from, patches, records))
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        self._path.unlink(missing_ok=True)

    def _head(self) -> str:
        return json.dumps({"made_from": self._made_from}) + "\n"

    def _fresh(self) -> Iterator[MapRecord]:
        """For each image, the newest record whose map exists and was made from the same things."""
        known = {truth.name: truth.pixels for truth in self._truths}
        stopped = [self._maps / f"{self._row}.jsonl", *_part_paths(self._maps, self._row)]
        told = [*self._of_complete_row(), *(record for path in stopped for record in self._of_stopped_row(path))]
        found = {record.image: record for record in told if record.pixels == known.get(record.image)}
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            intact = threads.map(functools.partial(_intact, self._maps, self._row), found.values())
            yield from itertools.compress(found.values(), intact)

    def _of_complete_row(self) -> list[MapRecord]:
        try:
            record = read_record(self._maps, self._row)
        except UserError:
            return []
        stale = differing_fields(self._made_from, record.made_from)
        if not stale:  # Earlier versions only recorded the pixels of all images together.
            known = {truth.name: truth.pixels for truth in self._truths}
            return [replace(each, pixels=known.get(each.image, "")) for each in record.maps]
        return list(record.maps) if stale == [IMAGES] else []

    def _of_stopped_row(self, path: Path) -> list[MapRecord]:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            made_from = parsed_json(lines[0])["made_from"]
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            return []
        if not {*differing_fields(self._made_from, made_from)} <= {IMAGES}:
            return []
        found = []
        for line in lines[1:]:
            try:
                found.append(MapRecord(**parsed_json(line)))
            except (ValueError, TypeError):  # A killed process may leave half a line.
                break
        return found


def _intact(maps: Path, row: str, record: MapRecord) -> bool:
    """Whether the files a record refers to are still as written."""
    try:
        if not record.undefined:
            cache.read_map(cache.map_path(maps, row, record.image), record.sha256)
        if record.labels:
            cache.read_labels(cache.labels_path(maps, row, record.image))
    except UserError:
        return False
    return True


def _line(record: MapRecord) -> str:
    return json.dumps(asdict(record)) + "\n"


def _part_paths(maps: Path, row: str) -> list[Path]:
    return sorted(maps.glob(f"{glob.escape(row)}.*.jsonl"))


def _record_path(maps: Path, row: str) -> Path:
    return maps / f"{row}.json"
