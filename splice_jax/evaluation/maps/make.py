"""Runs rows over the images of a split, once per image and localizer, and caches their maps."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from splice_jax import crf, metrics, patches
from splice_jax.crf import CrfParameters
from splice_jax.data import Example
from splice_jax.errors import one_line
from splice_jax.evaluation.maps import cache
from splice_jax.evaluation.maps.cache import Levels, MapRecord, RowRecord
from splice_jax.evaluation.maps.degradations import Degradation, Degraded, degrade
from splice_jax.evaluation.maps.truth import Truth, fingerprint
from splice_jax.evaluation.rows import row_name
from splice_jax.images import resize_map
from splice_jax.methods import Found, Localizer, Undefined
from splice_jax.workers import in_order

ROWS_AHEAD = 4
"""Images whose maps wait to be refined and written are held in memory, this many of each row."""


class Row(NamedTuple):
    """A row of the comparison: a localizer, and the CRF after it ("none" for none)."""

    localizer: Localizer
    crf: str = "none"

    @property
    def name(self) -> str:
        """As it is printed, and as `methods` calls it."""
        return row_name(self.localizer.name, self.crf)


class Stage(NamedTuple):
    """A split of images to run over, as they are or degraded, and where their maps go."""

    title: str
    examples: Sequence[Example]
    truths: Sequence[Truth]
    """Of those examples that are run over."""
    folder: Path
    degradation: Degradation | None = None
    seed: int = 0

    def made_from(self, origin: Mapping[str, Any]) -> dict[str, Any]:
        """What a row's maps of this stage are made from, given what the row is made from."""
        name = "none" if self.degradation is None else str(self.degradation)
        noise = {"seed": self.seed} if self.degradation is not None else {}
        return {**origin, "images": fingerprint(self.truths), "degradation": name, **noise}


def make_maps(
    rows: Sequence[Row],
    stage: Stage,
    origins: Mapping[str, Mapping[str, Any]],
    *,
    parameters: CrfParameters,
    workers: Executor,
) -> None:
    """Writes the maps of all rows on all images of a stage, and then what they were made from.

    Args:
      rows: each localizer runs once per image, however many rows it stands in.
      stage: the images.
      origins: what each row is made from, by its name.
      parameters: of the CRF.
      workers: refine and write beside this process.
    """
    cache.begin(stage.folder, [row.name for row in rows])
    found: dict[str, list[MapRecord]] = {row.name: [] for row in rows}
    records = in_order(workers, complete, _tasks(rows, stage, parameters), ahead=ROWS_AHEAD * len(rows))
    with tqdm(total=len(rows) * len(stage.truths), desc=stage.title, unit="map", disable=None) as bar:
        for name, record in records:
            found[name].append(record)
            bar.update()
    for row in rows:
        grid = _patch_grid(row.localizer) if any(record.labels for record in found[row.name]) else None
        cache.finish(
            stage.folder, row.name, RowRecord(stage.made_from(origins[row.name]), grid, tuple(found[row.name]))
        )


class Task(NamedTuple):
    """What is left to do for one row on one image once its localizer has run."""

    row: str
    image_name: str
    image: UInt8[np.ndarray, "height width 3"]
    """As the localizer saw it."""
    levels: Levels | None
    """None where the localizer can say nothing about the image."""
    size: tuple[int, int]
    """Of the mask."""
    crf: str
    parameters: CrfParameters
    folder: Path
    labels: np.ndarray | None
    seconds: float
    undefined: str = ""
    """Why there are no levels."""
    beside: Mapping[str, float] = {}
    """See `MapRecord`."""


def complete(task: Task) -> tuple[str, MapRecord]:
    """Refines a map, brings it to the mask's size and caches it, if there is one. Runs in any process."""
    started = time.perf_counter()
    levels, path = task.levels, cache.map_path(task.folder, task.row, task.image_name)
    if levels is None:
        path.unlink(missing_ok=True)  # Of an earlier evaluation.
        return task.row, MapRecord(task.image_name, "", round(task.seconds, 4), undefined=task.undefined)
    if task.crf != "none":
        levels = metrics.quantize(crf.refine(task.crf, task.image, probability_of(levels), task.parameters))
    seconds = task.seconds + time.perf_counter() - started
    if levels.shape != task.size:
        levels = metrics.quantize(resize_map(probability_of(levels), task.size))
    sha256 = cache.write_map(path, levels)
    if task.labels is not None:
        cache.write_labels(cache.labels_path(task.folder, task.row, task.image_name), task.labels)
    return task.row, MapRecord(task.image_name, sha256, round(seconds, 4), task.labels is not None, beside=task.beside)


def probability_of(levels: Levels) -> np.ndarray:
    """A cached map as probabilities: what a CRF starts from, so that it starts from the same when it is run again."""
    return (levels / np.float32(metrics.LEVELS)).astype(np.float32)


def _tasks(rows: Sequence[Row], stage: Stage, parameters: CrfParameters) -> Iterator[Task]:
    for truth in stage.truths:
        example = stage.examples[truth.position]
        seen = Degraded(example.image, example.encoded)
        if stage.degradation is not None:
            seen = degrade(example.image, stage.degradation, seed=stage.seed)
        for method in dict.fromkeys(row.localizer.name for row in rows):
            of_method = [row for row in rows if row.localizer.name == method]
            started = time.perf_counter()
            found, undefined = _found(of_method[0].localizer, seen)
            seconds = time.perf_counter() - started
            levels = metrics.quantize(found.probability) if found else None
            beside = _beside(found, example) if found and not stage.degradation else {}
            for row in of_method:
                plain = row.crf == "none"
                labels = found.label_probability if found and plain and not stage.degradation else None
                yield Task(
                    row=row.name,
                    image_name=truth.name,
                    image=seen.image,
                    levels=levels,
                    size=example.mask.shape,
                    crf=row.crf,
                    parameters=parameters,
                    folder=stage.folder,
                    labels=labels,
                    seconds=seconds,
                    undefined=undefined,
                    beside=beside if plain else {},
                )


def _found(localizer: Localizer, seen: Degraded) -> tuple[Found | None, str]:
    """What a localizer finds, or nothing and why."""
    try:
        return (localizer.localize_encoded(*seen) if seen.encoded else localizer(seen.image)), ""
    except Undefined as error:
        return None, one_line(error)


def _beside(found: Found, example: Example) -> dict[str, float]:
    """Scores of the localizer's own on a spliced image, where they have a value."""
    scores = {} if example.authentic else found.scores(example.mask)
    return {name: value for name, value in scores.items() if math.isfinite(value)}


def _patch_grid(localizer: Localizer) -> tuple[int, str]:
    return getattr(localizer, "stride", patches.PATCH_SIZE), getattr(localizer, "border", "inward")
