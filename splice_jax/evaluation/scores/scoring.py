"""Scores cached maps without any network: what `evaluate.py` does once maps exist, and all that re-scoring does.

All cores read maps, a few at a time. A first pass surveys every curve and sums the scores at every step; the steps that
all images share follow from the sums, and a second pass counts pixels at these. Sums are added in fixed portions, so
that not even the last digit depends on the number of processes.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Int64
from tqdm import tqdm

from splice_jax import metrics, patches
from splice_jax.errors import UserError
from splice_jax.evaluation.maps import cache
from splice_jax.evaluation.maps.records import RowRecord
from splice_jax.evaluation.maps.truth import Truth
from splice_jax.evaluation.scores import detection
from splice_jax.evaluation.scores.detection import ImageLevel
from splice_jax.evaluation.scores.histograms import Histograms, on_disk
from splice_jax.evaluation.scores.image import BINS, ImageScores, Mask, Sums, counts_at_steps, survey
from splice_jax.evaluation.scores.row import RowScores, distinct_steps, shared_steps
from splice_jax.images import read_mask
from splice_jax.workers import executor, in_order

Given = TypeVar("Given")
Result = TypeVar("Result")

PORTION = 8
"""Maps per task."""

IN_PROCESS_MEGAPIXELS = 40
"""Below this, starting other processes takes longer than scoring."""


class Accuracy(NamedTuple):
    """The patches of one image, and how many of their labels were right at 0.5."""

    patches: int
    right: int


class ScoreJob(NamedTuple):
    """One cached map to score."""

    folder: Path
    row: str
    sha256: str
    truth: Truth
    patches: tuple[int, str] | None
    """Stride and border of the grid that a label head looked at."""
    ignore_border: int


class Surveyed(NamedTuple):
    """What the first pass found in one map."""

    scores: ImageScores | None
    """None for an authentic image."""
    level: ImageLevel
    accuracy: Accuracy | None


class RowResult(NamedTuple):
    """All that is known of one row on one split."""

    scores: RowScores
    truths: Sequence[Truth]
    """For every image of the split, including authentic ones."""
    undefined: Mapping[str, str]
    """Why there is no map, by image name."""
    levels: Sequence[ImageLevel]
    """For every image with a map, in the order of `truths`; likewise the fields below."""
    accuracies: Sequence[Accuracy | None]
    seconds: Sequence[float]
    beside: Sequence[Mapping[str, float]]
    """The localizer's own scores."""
    calibrated: Sequence[float | None] = ()
    """`Found.score`."""

    def reasons(self) -> dict[str, int]:
        """How many spliced images have no map, by reason."""
        names = [truth.name for truth in self.truths if truth.spliced and truth.name in self.undefined]
        return dict(Counter(self.undefined[name] for name in names))


class RowMaps(NamedTuple):
    """The maps of one row on one split, to be read as often as needed."""

    folder: Path
    truths: Sequence[Truth]
    undefined: Mapping[str, str]
    jobs: Sequence[ScoreJob]
    """For images the row is defined for."""
    seconds: Sequence[float]
    beside: Sequence[Mapping[str, float]]
    calibrated: Sequence[float | None]

    @classmethod
    def of(cls, folder: Path, row: str, record: RowRecord, truths: Sequence[Truth], *, ignore_border: int) -> "RowMaps":
        """The maps in a row's record, in the order of the split."""
        by_image = {each.image: each for each in record.maps}
        undefined = {truth.name: reason for truth in truths if (reason := by_image[truth.name].undefined)}
        found = [(by_image[truth.name], truth) for truth in truths if truth.name not in undefined]
        jobs = [
            ScoreJob(folder, row, each.sha256, truth, record.patches if each.labels else None, ignore_border)
            for each, truth in found
        ]
        seconds, beside = [each.seconds for each, _ in found], [each.beside for each, _ in found]
        return cls(folder, truths, undefined, jobs, seconds, beside, [each.score for each, _ in found])


def pool(truths: Sequence[Truth], rows: int, processes_: int | None) -> Executor:
    """Processes for the scoring of a split; none where it is small, unless a number is given."""
    megapixels = sum(truth.height * truth.width for truth in truths) * rows / 1e6
    return executor(0 if processes_ is None and megapixels < IN_PROCESS_MEGAPIXELS else processes_)


def survey_row(
    cached: RowMaps, workers: Executor, keep: Callable[[Histograms], object] = lambda histograms: None
) -> tuple[list[Surveyed], Sums]:
    """The first pass: what every map says, and the sums over the spliced images, whose histograms are to be kept."""
    total, found = Sums.zero(), []
    for surveyed, sums, histograms in _pass(_survey, _portions(cached.jobs), workers):
        total.add(sums)
        found += surveyed
        keep(histograms)
    return found, total


def score_row(cached: RowMaps, workers: Executor, validation: Sums | None = None) -> RowResult:
    """Scores a row under every convention.

    Args:
      cached: its maps on the split that is scored.
      workers: who reads them.
      validation: the sums of the same row over the images on which a threshold is chosen.
    """
    with on_disk(cached.folder) as kept:
        surveyed, sums = survey_row(cached, workers, kept.add)
        histograms = kept.mapped()
    shared = shared_steps(sums, validation, detection.false_alarm_step([each.level for each in surveyed]))
    spliced = [job for job in cached.jobs if job.truth.spliced]
    tasks = [(portion, distinct_steps(shared)) for portion in _portions(spliced)]
    none = np.empty((0, len(distinct_steps(shared)), 4), np.int64)
    at_shared = np.concatenate([none, *_pass(_count, tasks, workers)])
    images = [each.scores for each in surveyed if each.scores is not None]
    return RowResult(
        RowScores(images, sums, shared, at_shared, [job.truth.name for job in spliced], histograms),
        cached.truths,
        cached.undefined,
        [each.level for each in surveyed],
        [each.accuracy for each in surveyed],
        cached.seconds,
        cached.beside,
        cached.calibrated,
    )


def _portions(jobs: Sequence[ScoreJob]) -> list[Sequence[ScoreJob]]:
    return [jobs[start : start + PORTION] for start in range(0, len(jobs), PORTION)]


def _pass(function: Callable[[Given], Result], tasks: Sequence[Given], workers: Executor) -> Iterator[Result]:
    """The tasks' results in order, with a progress bar."""
    results = in_order(workers, function, tasks)
    yield from tqdm(results, desc="scoring", total=len(tasks), unit="portion", leave=False, disable=None)


def _survey(jobs: Sequence[ScoreJob]) -> tuple[list[Surveyed], Sums, Histograms]:
    """The first pass over one portion. Runs in any process."""
    found, total, histograms = [], Sums.zero(), [np.empty((0, 2, BINS), np.int32)]
    for job in jobs:
        levels, mask = _read(job)
        level = detection.image_level(levels, spliced=job.truth.spliced)
        if not job.truth.spliced:
            found.append(Surveyed(None, level, None))
            continue
        scores, sums, histogram = survey(levels, mask, ignore_border=job.ignore_border)
        total.add(sums)
        histograms.append(histogram[None])
        found.append(Surveyed(scores, level, _accuracy(job, mask)))
    return found, total, np.concatenate(histograms)


def _count(task: tuple[Sequence[ScoreJob], Int64[np.ndarray, " steps"]]) -> Int64[np.ndarray, "images steps 4"]:
    """The second pass over one portion. Runs in any process."""
    jobs, steps = task
    return np.stack([counts_at_steps(*_read(job), steps, ignore_border=job.ignore_border) for job in jobs])


def _read(job: ScoreJob) -> tuple[cache.Levels, Mask]:
    mask = read_mask(job.truth.mask, name=f"mask of {job.truth.name}")
    path = cache.map_path(job.folder, job.row, job.truth.name)
    levels = cache.read_map(path, job.sha256)
    if levels.shape != mask.shape:
        raise UserError(f"{path}: is not of the mask's size {mask.shape[::-1]}; evaluate without --config.rescore")
    if job.truth.spliced and job.ignore_border:
        _check_border(job, mask)
    return levels, mask


def _check_border(job: ScoreJob, mask: Mask) -> None:
    if not (mask & ~metrics.boundary_band(mask, job.ignore_border)).any():
        raise UserError(
            f"config.ignore_border: {job.ignore_border} leaves no spliced pixel in {job.truth.name}; lower it"
        )


def _accuracy(job: ScoreJob, mask: Mask) -> Accuracy | None:
    """How many patch labels are right at 0.5; None for a row without a label head."""
    if job.patches is None:
        return None
    stride, border = job.patches
    corners = patches.grid(*mask.shape, stride=stride, border=border)
    truth = patches.labels(patches.extract(mask, corners.reshape(-1, 2))).reshape(corners.shape[:2])
    said = cache.read_labels(cache.labels_path(job.folder, job.row, job.truth.name))
    return Accuracy(truth.size, int(np.count_nonzero((said >= 0.5) == truth)))
