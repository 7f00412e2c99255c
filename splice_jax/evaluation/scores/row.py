"""The scores of a row under every convention, computed from what is kept of its images' curves."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int64, Num

from splice_jax import metrics
from splice_jax.evaluation.scores import bootstrap
from splice_jax.evaluation.scores.conventions import (
    AT_FALSE_ALARMS,
    CONVENTIONS,
    HALF,
    HEADLINE,
    SCORES,
    Convention,
)
from splice_jax.evaluation.scores.histograms import Histograms
from splice_jax.evaluation.scores.image import ImageScores, Sums, histogram, threshold_of
from splice_jax.metrics import LEVELS, Counts

POINTS = 201
"""Number of thresholds at which curves are written: 0, 0.005, …, 1."""

_TURNED = [2, 3, 0, 1]
"""Indices that turn a prediction's tp, fp, fn, tn into those of the opposite prediction."""

Area = tuple[float | None, list[float] | None]
"""An AUC and its interval; None if undefined."""

Shared = Mapping[tuple[Convention, str], tuple[int, int]]
"""By convention and score, the steps that all images share: for the prediction as given, and for its opposite."""


def shared_steps(sums: Sums, validation: Sums | None, false_alarm_step: int | None = None) -> Shared:
    """The best steps per data set and, given sums of validation images, those chosen by validation.

    `false_alarm_step`: the one that authentic images decide, if there are any.

    Among steps with the same score, the first is taken, which has the highest threshold.
    """
    found: dict[tuple[Convention, str], tuple[int, int]] = {}
    if false_alarm_step is not None:
        found |= {(AT_FALSE_ALARMS, name): (false_alarm_step, false_alarm_step) for name in SCORES}
    for index, name in enumerate(SCORES):
        for polarity, oracle in enumerate(("given", "oracle")):
            step = int(sums.scores[polarity, index].argmax())
            found[Convention("best-per-dataset", "images", oracle), name] = step, step
            pooled = [SCORES[name](counts) for counts in (sums.counts, metrics.inverted(sums.counts))]
            found[Convention("best-per-dataset", "pooled", oracle), name] = (
                int(pooled[0].argmax()),
                int(pooled[1].argmax()),
            )
            if validation is not None and validation.images:
                step = int(validation.scores[0, index].argmax())
                for average in ("images", "pooled"):
                    found[Convention("validation", average, oracle), name] = step, step
    return found


def distinct_steps(shared: Shared) -> Int64[np.ndarray, " steps"]:
    """The steps at which every image's counts are needed, ascending."""
    return np.unique(np.array(list(shared.values()), np.int64))


@dataclass(eq=False)
class RowScores:
    """One row's images and their scores, at their own and at shared thresholds; without images, it has no score."""

    images: Sequence[ImageScores]
    sums: Sums
    shared: Shared
    at_shared: Int64[np.ndarray, "images steps 4"]
    """tp, fp, fn, tn of every image at every one of `distinct_steps`."""
    names: Sequence[str]
    """The images' names."""
    histograms: Histograms
    """Of every image, see `survey`."""

    @property
    def conventions(self) -> list[Convention]:
        """The available conventions, the headline first; without validation images, not all are."""
        if not self.images:
            return []
        shared = {convention for convention, _ in self.shared}
        return [each for each in CONVENTIONS if each in shared or each.threshold in ("best-per-image", "0.5")]

    def counts(self, convention: Convention, score: str) -> Int64[np.ndarray, "images polarities 4"]:
        """Each image's counts to be scored: as given and, for oracle polarity, also of the opposite prediction."""
        if convention.threshold == "best-per-image":
            both = np.stack([image.best[list(SCORES).index(score)] for image in self.images])
        elif convention.threshold == "0.5":
            half = np.stack([image.half for image in self.images])
            both = np.stack([half, half[:, _TURNED]], axis=1)
        else:
            as_given, turned = np.searchsorted(distinct_steps(self.shared), self.shared[convention, score])
            both = np.stack([self.at_shared[:, as_given], self.at_shared[:, turned][:, _TURNED]], axis=1)
        return both if convention.polarity == "oracle" else both[:, :1]

    def values(self, convention: Convention, score: str) -> Float64[np.ndarray, " images"]:
        """Each image's own score, even if pixels are pooled."""
        return _better(score, self.counts(convention, score))

    def entries(self, *, seed: int, conventions: Sequence[Convention] | None = None) -> list[dict[str, Any]]:
        """The `scores` of a row in scores.json, null where it has none; by default under its own conventions."""
        own = self.conventions
        kinds = dict.fromkeys((each.average, each.polarity) for each in own)
        areas = {kind: self._auc(*kind, seed) for kind in kinds}
        return [
            self._entry(each, areas[each.average, each.polarity], seed) if each in own else _nothing(each)
            for each in (own if conventions is None else conventions)
        ]

    def at_false_alarms(self, *, seed: int) -> dict[str, Any] | None:
        """F1 and MCC, means over images, at the threshold that authentic images decide; None if there is none."""
        if (AT_FALSE_ALARMS, "f1") not in self.shared or not self.images:
            return None
        found: dict[str, Any] = {"threshold": threshold_of(self.shared[AT_FALSE_ALARMS, "f1"][0])}
        for name in ("f1", "mcc"):
            found[name], found[f"{name}_ci95"] = self._score(AT_FALSE_ALARMS, name, seed)
        return found | {"threshold": min(found["threshold"], (LEVELS + 1) / LEVELS)}

    def _entry(self, convention: Convention, area: Area, seed: int) -> dict[str, Any]:
        entry: dict[str, Any] = dict(convention.__dict__)
        intervals: dict[str, list[float] | None] = {}
        for name in SCORES:
            entry[name], intervals[f"{name}_ci95"] = self._score(convention, name, seed)
            if name != "iou":
                entry[f"{name}_ci95"] = intervals.pop(f"{name}_ci95")
        entry["auc"], intervals["auc_ci95"] = area
        return entry | intervals | self._thresholds(convention)

    def _score(self, convention: Convention, name: str, seed: int) -> tuple[float, list[float]]:
        counts = self.counts(convention, name)
        if convention.average == "images":
            values = _better(name, counts)
            return float(values.mean()), bootstrap.of_mean(values, seed=seed)
        interval = bootstrap.of_pooled(counts, lambda sums: _better(name, sums), seed=seed)
        return float(_better(name, counts.sum(axis=0))), interval

    def _auc(self, average: str, polarity: str, seed: int) -> Area:
        oracle = polarity == "oracle"
        if average == "images":
            areas = np.array([image.auc for image in self.images])
            areas = _either(areas[~np.isnan(areas)], oracle)
            return (float(areas.mean()), bootstrap.of_mean(areas, seed=seed)) if areas.size else (None, None)
        area = _area(self.sums.fp, self.sums.tp)
        if np.isnan(area):
            return None, None
        return float(_either(area, oracle)), bootstrap.of_pooled(
            self.histograms,
            lambda pixels: _either(_area(*np.moveaxis(pixels.cumsum(axis=2), 1, 0)), oracle),
            seed=seed,
            used=histogram(self.sums.counts).sum(axis=0) > 0,  # an empty bin adds nothing to the area
        )

    def _thresholds(self, convention: Convention) -> dict[str, float]:
        """The thresholds shared by all images, if any; above 1, nothing is marked."""
        found = {}
        for name in SCORES if (convention, "f1") in self.shared else ():
            total = self.counts(convention, name).sum(axis=0)
            turned = convention.average == "pooled" and int(_each(name, total).argmax())
            threshold = threshold_of(self.shared[convention, name][int(turned)])
            found[f"{name}_threshold"] = min(threshold, (LEVELS + 1) / LEVELS)
        return found

    def curves(self) -> dict[str, Any]:
        """F1 and MCC at `POINTS` thresholds from 0 to 1, in given polarity; null without images."""
        if not self.images:
            return dict.fromkeys(("images", "pooled", "pooled_roc"))
        steps = np.array([LEVELS + 1 + (-point * LEVELS) // (POINTS - 1) for point in range(POINTS)])
        total = Counts(*(count[steps] for count in self.sums.counts))
        scored = [name for name in SCORES if name != "iou"]
        mean = {name: self.sums.scores[0, list(SCORES).index(name), steps] / self.sums.images for name in scored}
        return {
            "images": {name: _rounded(values) for name, values in mean.items()},
            "pooled": {name: _rounded(SCORES[name](total)) for name in scored},
            "pooled_roc": {
                "true_positive_rate": _rounded(total.tp / max(self.sums.tp[-1], 1)),
                "false_positive_rate": _rounded(total.fp / max(self.sums.fp[-1], 1)),
            },
        }


def differences(rows: Mapping[str, RowScores], *, seed: int) -> list[dict[str, Any]]:
    """For every pair of rows, the mean over images of the first's score minus the second's, with paired intervals.

    Under the headline convention and at a threshold of 0.5, over images scored by both rows; null if there are none.
    Picking the smallest value over all pairs is not a test: look at the pairs you meant to compare.
    """
    return [
        {"row": first, "other": second} | convention.__dict__ | _difference(rows[first], rows[second], convention, seed)
        for first, second in itertools.combinations(rows, 2)
        for convention in (HEADLINE, HALF)
    ]


def _difference(first: RowScores, second: RowScores, convention: Convention, seed: int) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(("f1", "f1_ci95", "mcc", "mcc_ci95"))
    others = set(second.names)
    common = [name for name in first.names if name in others]
    for name in ("f1", "mcc") if common else ():
        ours, theirs = (dict(zip(row.names, row.values(convention, name), strict=True)) for row in (first, second))
        values = np.array([ours[image] - theirs[image] for image in common])
        found |= {name: float(values.mean()), f"{name}_ci95": bootstrap.of_mean(values, seed=seed)}
    return found | {"images": len(common)}


def _nothing(convention: Convention) -> dict[str, Any]:
    """The entry of a row without a score."""
    given = (*SCORES, "f1_ci95", "mcc_ci95", "auc", "iou_ci95", "auc_ci95")
    return dict(convention.__dict__) | dict.fromkeys(given)


def _each(score: str, counts: Num[np.ndarray, "*shape polarities 4"]) -> Float64[np.ndarray, "*shape polarities"]:
    return SCORES[score](Counts(*np.moveaxis(counts, -1, 0)))


def _better(score: str, counts: Num[np.ndarray, "*shape polarities 4"]) -> Float64[np.ndarray, "*shape"]:
    return _each(score, counts).max(axis=-1)


def _area(host: Num[np.ndarray, "*shape points"], spliced: Num[np.ndarray, "*shape points"]) -> Any:
    """Area under the ROC curve of cumulative counts; NaN if a sample has only one kind of pixel."""
    start = np.zeros((*host.shape[:-1], 1))
    x, y = (np.concatenate([start, counts], axis=-1) for counts in (host, spliced))
    total = x[..., -1] * y[..., -1]
    return np.where(total > 0, np.trapezoid(y, x, axis=-1) / np.where(total > 0, total, 1), np.nan)


def _either(areas: Any, oracle: bool) -> Any:
    return np.maximum(areas, 1 - areas) if oracle else areas


def _rounded(values: Float[np.ndarray, " points"]) -> list[float]:
    return [round(float(value), 6) for value in values]
