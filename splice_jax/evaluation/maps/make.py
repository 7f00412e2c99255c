"""Runs rows over the images of a split, once per image and localizer, and caches the missing maps."""

import contextlib
import functools
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from tqdm import tqdm

from splice_jax import crf, hosts, methods, metrics, patches
from splice_jax.crf import CrfParameters
from splice_jax.data import Example
from splice_jax.errors import UserError, one_line
from splice_jax.evaluation.maps import cache
from splice_jax.evaluation.maps.cache import Levels
from splice_jax.evaluation.maps.degradations import Degradation, degrade
from splice_jax.evaluation.maps.provenance import DEGRADATION, IMAGES, SEED
from splice_jax.evaluation.maps.records import Journal, MapRecord
from splice_jax.evaluation.maps.truth import Truth, fingerprint
from splice_jax.evaluation.rows import row_name
from splice_jax.images import resize_map
from splice_jax.methods import Found, Localizer, Undefined
from splice_jax.workers import in_order, reading_ahead

IMAGES_AHEAD = 4
"""How many images, besides one per core, are held in memory while their maps wait to be refined and written."""

REFINING_AHEAD = 2
"""As many more where this process refines: one is, and one waits."""


class ByName(NamedTuple):
    """A localizer without a network: every process makes its own, so that all cores can localize."""

    name: str


class Row(NamedTuple):
    """A row of the comparison: a localizer, and the CRF after it ("none" for none)."""

    localizer: Localizer | ByName
    crf: str = "none"

    @property
    def name(self) -> str:
        """As printed, and as named in the field `methods`."""
        return row_name(self.localizer.name, self.crf)


class Stage(NamedTuple):
    """A split of images to process, as they are or degraded, and where their maps go."""

    title: str
    examples: Sequence[Example]
    truths: Sequence[Truth]
    """Only of the examples to process."""
    folder: Path
    degradation: Degradation | None = None
    seed: int = 0

    def made_from(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """What a row's maps in this stage are made from, given what the row is made from."""
        found = {**row, IMAGES: fingerprint(self.truths), DEGRADATION: str(self.degradation or "none")}
        if self.degradation is not None and self.degradation.kind == "noise":
            found[SEED] = self.seed
        return found


class Localized(NamedTuple):
    """What is kept of a localizer's findings in one image."""

    levels: Levels | None
    """None if the method is undefined for the image."""
    seconds: float
    undefined: str = ""
    """Why there are no levels."""
    labels: np.ndarray | None = None
    beside: Mapping[str, float] = {}
    score: float | None = None
    """See `MapRecord`."""


class Seen(NamedTuple):
    """An image of a stage, as localizers see it."""

    truth: Truth
    image: UInt8[np.ndarray, "height width 3"]
    encoded: bytes
    """Its file; empty if there is none."""
    mask: Bool[np.ndarray, "height width"] | None
    """The truth for a localizer's own scores; None for authentic and degraded images."""
    degraded: bool


IN_THIS_PROCESS = ("jax",)
"""CRFs that use all cores, or another device, and would be compiled by every process for itself."""


class MapTask(NamedTuple):
    """The maps that one localizer needs of one image, with and without CRF."""

    seen: Seen
    localized: Localized | ByName
    """What was found, or the name of the localizer that has yet to run."""
    crfs: Mapping[str, str]
    """By row name."""
    parameters: CrfParameters
    folder: Path


def make_maps(
    rows: Sequence[Row],
    stage: Stage,
    made_from: Mapping[str, Mapping[str, Any]],
    *,
    parameters: CrfParameters,
    workers: Executor,
    anew: bool = False,
    own: Sequence[Truth] | None = None,
) -> None:
    """Writes the maps that rows lack for the images of a stage, and records what each was made from.

    Args:
      rows: each localizer runs once per image, however many rows share it.
      stage: the images.
      made_from: what each row is made from, by its name.
      parameters: of the CRF.
      workers: localize where no network is needed, refine by what is not in `IN_THIS_PROCESS`, and write beside this
        process. A thread of this process refines by the rest while a network localizes the next image.
      anew: makes the maps once more that are there and fresh.
      own: this process's share of the images, if others make the rest; the rows are complete once they are made again
        with None, which finds all maps there.
    """
    truths, part = (stage.truths, "") if own is None else (own, f"{hosts.index()}of{hosts.count()}")
    journals = {
        row.name: Journal(stage.folder, row.name, stage.made_from(made_from[row.name]), truths, anew=anew, part=part)
        for row in rows
    }
    there = sum(len(journal.entered) for journal in journals.values())
    ahead = IMAGES_AHEAD * len({row.localizer.name for row in rows}) + (os.cpu_count() or 1)
    completed = in_order(workers, complete, _tasks(rows, stage, truths, journals, parameters), ahead=ahead)
    total = len(rows) * len(truths)
    with (
        ThreadPoolExecutor(1) as thread,
        tqdm(total=total, initial=there, desc=stage.title, unit="map", disable=None) as bar,
    ):
        for records in in_order(thread, refine, _together(completed), ahead=REFINING_AHEAD):
            for name, record in records:
                journals[name].enter(record)
                bar.update()
    for row in rows if own is None else ():
        labelled = any(record.labels for record in journals[row.name].entered.values())
        journals[row.name].close(_patch_grid(row.localizer) if labelled else None)


class Completed(NamedTuple):
    """What came of a task in whatever process it was done."""

    records: dict[str, MapRecord]
    """By the names of the rows."""
    left: tuple[MapTask, Localized] | None = None
    """What is `IN_THIS_PROCESS`: the CRFs, and the map that they refine."""


def complete(task: MapTask) -> Completed:
    """Localizes where that is still to be done, refines, brings maps to the mask's size and caches them.

    Runs in any process, and leaves what is `IN_THIS_PROCESS` to the one that asked, see `refine`.
    """
    localized = task.localized
    if isinstance(localized, ByName):
        localized = _localize(_own(localized), task.seen)
    left = {row: crf for row, crf in task.crfs.items() if crf in IN_THIS_PROCESS}
    records = {}
    for row, backend in task.crfs.items():
        if row not in left:
            [refined] = _refined(backend, [(row, task, localized)])
            records[row] = _cached(row, refined, task)
    return Completed(records, (task._replace(crfs=left), localized) if left else None)


def _together(completed: Iterable[Completed]) -> Iterator[list[Completed]]:
    """In order, as many as a device refines at a time."""
    waiting: list[Completed] = []
    for each in completed:
        waiting.append(each)
        left = [crf for one in waiting if one.left for crf in one.left[0].crfs.values()]
        if not left or len(left) >= crf.batch_size(left[0]):
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def refine(completed: Sequence[Completed]) -> list[tuple[str, MapRecord]]:
    """Refines what was left to do, and caches it; returns the records of all rows, with their names."""
    found = [entry for each in completed for entry in each.records.items()]
    for backend in IN_THIS_PROCESS:
        left = [
            (row, task, localized)
            for task, localized in (each.left for each in completed if each.left)
            for row, own in task.crfs.items()
            if own == backend
        ]
        for (row, task, _), localized in zip(left, _refined(backend, left), strict=True):
            found.append((row, _cached(row, localized, task)))
    return found


def _refined(backend: str, left: Sequence[tuple[str, MapTask, Localized]]) -> list[Localized]:
    """What was found, with refined maps where there are any."""
    started = time.perf_counter()
    found = [localized for _, _, localized in left]
    maps = {place: each.levels for place, each in enumerate(found) if each.levels is not None}
    if not maps or backend == "none":
        return found
    images = [left[place][1].seen.image for place in maps]
    row, task, _ = left[next(iter(maps))]
    with _memory_of(row, task.seen.truth.name):
        refined = crf.refine_batch(backend, images, [probability_of(each) for each in maps.values()], task.parameters)
    seconds = (time.perf_counter() - started) / len(maps)
    for place, map_ in zip(maps, refined, strict=True):
        each = found[place]
        found[place] = each._replace(levels=metrics.quantize(map_), seconds=each.seconds + seconds)
    return found


def _cached(row: str, localized: Localized, task: MapTask) -> MapRecord:
    truth, levels = task.seen.truth, localized.levels
    path = cache.map_path(task.folder, row, truth.name)
    if levels is None:
        path.unlink(missing_ok=True)  # From an earlier evaluation.
        seconds = round(localized.seconds, 4)
        return MapRecord(truth.name, "", seconds, undefined=localized.undefined, pixels=truth.pixels)
    plain, size = task.crfs[row] == "none", (truth.height, truth.width)
    if levels.shape != size:
        with _memory_of(row, truth.name):
            levels = metrics.quantize(resize_map(probability_of(levels), size))
    sha256, labels = cache.write_map(path, levels), localized.labels if plain else None
    if labels is not None:
        cache.write_labels(cache.labels_path(task.folder, row, truth.name), labels)
    beside = localized.beside if plain else {}
    return MapRecord(
        truth.name,
        sha256,
        round(localized.seconds, 4),
        labels is not None,
        beside=beside,
        pixels=truth.pixels,
        score=localized.score,
    )


def probability_of(levels: Levels) -> np.ndarray:
    """A cached map as probabilities. CRFs always start from these, so that running one again gives the same result."""
    return (levels / np.float32(metrics.LEVELS)).astype(np.float32)


def _tasks(
    rows: Sequence[Row],
    stage: Stage,
    truths: Sequence[Truth],
    journals: Mapping[str, Journal],
    parameters: CrfParameters,
) -> Iterator[MapTask]:
    """The remaining work; for each image, methods that other processes can run come first."""
    missing = {truth.name: [row for row in rows if truth.name not in journals[row.name].entered] for truth in truths}
    for seen in reading_ahead(functools.partial(_seen, stage), (each for each in truths if missing[each.name])):
        by_method: dict[str, list[Row]] = {}
        for row in sorted(missing[seen.truth.name], key=lambda row: not isinstance(row.localizer, ByName)):
            by_method.setdefault(row.localizer.name, []).append(row)
        for method, of_method in by_method.items():
            localized = _plain(method, of_method, stage, journals, seen) or of_method[0].localizer
            if isinstance(localized, Localizer):
                localized = _localize(localized, seen)
            kept = seen if isinstance(localized, ByName) else seen._replace(mask=None)
            yield MapTask(kept, localized, {row.name: row.crf for row in of_method}, parameters, stage.folder)


def _seen(stage: Stage, truth: Truth) -> Seen:
    example = stage.examples[truth.position]
    if stage.degradation is None:
        mask = None if example.authentic else example.mask
        return Seen(truth, example.image, example.encoded, mask, degraded=False)
    image, encoded = degrade(example.image, stage.degradation, seed=stage.seed)
    return Seen(truth, image, encoded, None, degraded=True)


def _plain(
    method: str, lacking: Sequence[Row], stage: Stage, journals: Mapping[str, Journal], seen: Seen
) -> Localized | None:
    """The localizer's findings from its cached map if only rows with CRF lack theirs; None if it has to run."""
    if method not in journals or any(row.crf == "none" for row in lacking):
        return None
    record = journals[method].entered[seen.truth.name]
    if record.undefined:
        return Localized(None, record.seconds, record.undefined)
    levels = cache.read_map(cache.map_path(stage.folder, method, seen.truth.name), record.sha256)
    return Localized(levels, record.seconds, score=record.score) if levels.shape == seen.image.shape[:2] else None


@functools.cache
def _own(named: ByName) -> Localizer:
    """This process's own localizer."""
    return methods.localizer(named.name)


def _localize(localizer: Localizer, seen: Seen) -> Localized:
    """What a localizer finds, or why it is undefined."""
    started = time.perf_counter()
    try:
        with _memory_of(localizer.name, seen.truth.name):
            found = localizer.localize_encoded(seen.image, seen.encoded) if seen.encoded else localizer(seen.image)
    except Undefined as error:
        return Localized(None, time.perf_counter() - started, one_line(error))
    seconds, levels = time.perf_counter() - started, metrics.quantize(found.probability)
    labels = None if seen.degraded else found.label_probability
    beside = {} if seen.mask is None else _beside(found, seen.mask)
    return Localized(levels, seconds, "", labels, beside, found.score)


def _beside(found: Found, mask: Bool[np.ndarray, "height width"]) -> dict[str, float]:
    """The localizer's own scores that have a value."""
    return {name: value for name, value in found.further_scores(mask).items() if math.isfinite(value)}


@contextlib.contextmanager
def _memory_of(row: str, image: str) -> Iterator[None]:
    """Names the row and image if the machine or a device runs out of memory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(
            f"{image}: row {row} ran out of memory ({one_line(error)[:150]}); leave the image out or evaluate where "
            "there is more, the maps made so far are kept"
        ) from error


def _patch_grid(localizer: Localizer | ByName) -> tuple[int, str]:
    return getattr(localizer, "stride", patches.PATCH_SIZE), getattr(localizer, "border", "inward")
