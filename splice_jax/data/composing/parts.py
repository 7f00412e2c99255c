"""A split that is composed in shards: each writes a part of its own, and the last one joins them.

Parts lie in SPLIT.parts beside the split. Each is written at once, so that a shard that was stopped is composed again
and one that is finished is not; whichever finds all parts there joins them. What they were made by stays there.
"""

import csv
import fcntl
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from splice_jax.bulk.inputs import Shard
from splice_jax.bulk.job import FILE_NAME, refuse_other_job
from splice_jax.data.composing import compositions
from splice_jax.errors import UserError
from splice_jax.files import replacing, writable_folder


def compose_part(split: Path, shard: Shard, job: Mapping[str, Any], compose: Callable[[Path], None]) -> bool:
    """Composes one part of a split unless it is there; returns whether the split is whole now.

    Args:
        split: the folder of the split, once it is whole.
        shard: the part.
        job: what all parts have in common, as JSON.
        compose: writes the part into a folder.

    Raises:
        UserError: the split is there without its parts, or its parts are of another job.
    """
    parts = split.with_name(f"{split.name}.parts")
    if split.exists() and not (parts / FILE_NAME).exists():
        raise UserError(f"{split}: exists already and was not composed in shards; choose a new output folder")
    refuse_other_job(writable_folder(parts), {**job, "shards": shard.parts})
    part = parts / f"{shard.number:05d}"
    if not split.exists() and not part.exists():
        with replacing(part) as folder:
            compose(folder)
    with open(parts / FILE_NAME, "rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False  # Another shard joins them.
        found = [parts / f"{number:05d}" for number in range(shard.parts)]
        if not split.exists() and all(path.exists() for path in found):
            with replacing(split) as folder:
                _join(found, folder)
        if split.exists():
            for path in found:
                shutil.rmtree(path, ignore_errors=True)
    return split.exists()


def _join(parts: list[Path], folder: Path) -> None:
    """Links what the parts hold into one folder; their tables become one, in order of the images."""
    rows: list[list[str]] = []
    for part in parts:
        for path in part.glob("*/*"):
            target = folder / path.relative_to(part)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, target)
            except OSError:  # Not every file system has links.
                shutil.copyfile(path, target)
        with open(part / compositions.FILE_NAME, encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows += list(csv.reader(file))[1:]
    rows.sort(key=lambda row: int(row[compositions.COLUMNS.index("index")]))
    with open(folder / compositions.FILE_NAME, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        table = csv.writer(file)
        table.writerow(compositions.COLUMNS)
        table.writerows(rows)
