"""The scores of one map, and the sums over images from which shared thresholds are found.

A 16-bit map has 65,537 different predictions: `step` s calls the s highest levels spliced, so step 0 marks nothing and
the last step everything. All of them are scored at once, in the memory of a few curves.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64, UInt16

from splice_jax import metrics
from splice_jax.evaluation.scores.conventions import SCORES
from splice_jax.metrics import LEVELS, Counts

STEPS = LEVELS + 2
HALF_STEP = LEVELS + 1 - 32768
"""The step that marks probabilities of at least 0.5."""

BINS = 1024
_LOGITS = np.log((np.arange(LEVELS + 1) + 0.5) / (LEVELS + 0.5 - np.arange(LEVELS + 1)))
_BIN = np.floor((_LOGITS - _LOGITS[0]) / (_LOGITS[-1] - _LOGITS[0]) * (BINS - 1e-6)).astype(np.int64)
"""Each level's bin, in equal steps of the logit: fine near 0 and 1, where maps have most of their pixels."""

Map = UInt16[np.ndarray, "height width"]
Mask = Bool[np.ndarray, "height width"]
Histogram = Int32[np.ndarray, f"2 {BINS}"]


def threshold_of(step: int) -> float:
    """The lowest probability that a step calls spliced; infinite for step 0."""
    return (LEVELS + 1 - step) / LEVELS if step else float("inf")


class Scores(NamedTuple):
    """The three scores of one image under one convention."""

    f1: float
    mcc: float
    iou: float


@dataclass(frozen=True, eq=False)
class ImageScores:
    """What is kept of one map's curve."""

    half: Int64[np.ndarray, "4"]
    """tp, fp, fn, tn at threshold 0.5."""
    best: Int64[np.ndarray, "scores polarities 4"]
    """tp, fp, fn, tn where each score is highest, for the prediction as given and for its opposite."""
    best_steps: Int64[np.ndarray, "scores polarities"]
    """The steps where that is; for the opposite prediction, the step whose prediction is inverted."""
    auc: float
    """NaN if the whole image is spliced."""

    @property
    def at(self) -> dict[str, Scores]:
        """The scores in given polarity, by threshold: the image's best, or 0.5."""
        best, half = self.best[:, 0], Counts(*self.half)
        return {
            "best-per-image": Scores(
                *(float(score(Counts(*c))) for score, c in zip(SCORES.values(), best, strict=True))
            ),
            "0.5": Scores(*(float(score(half)) for score in SCORES.values())),
        }

    @property
    def best_thresholds(self) -> Scores:
        """The thresholds of `at["best-per-image"]`; infinite if marking nothing is best."""
        return Scores(*(threshold_of(int(step)) for step in self.best_steps[:, 0]))

    @property
    def spliced_share(self) -> float:
        """Share of the scored pixels that are spliced, in (0, 1]."""
        return float((self.half[0] + self.half[2]) / self.half.sum())


@dataclass(eq=False)
class Sums:
    """Every step's scores, summed over images: enough for thresholds shared by all images, and for pooled AUC."""

    images: int
    scores: Float64[np.ndarray, f"2 scores {STEPS}"]
    """In given polarity, and for the better of both polarities of each image."""
    tp: Int64[np.ndarray, f"{STEPS}"]
    fp: Int64[np.ndarray, f"{STEPS}"]

    @classmethod
    def zero(cls) -> Self:
        """The sums over no images."""
        return cls(0, np.zeros((2, len(SCORES), STEPS)), np.zeros(STEPS, np.int64), np.zeros(STEPS, np.int64))

    def add(self, other: Self) -> None:
        """Adds the sums of other images."""
        self.images += other.images
        self.scores += other.scores
        self.tp += other.tp
        self.fp += other.fp

    @property
    def counts(self) -> Counts:
        """The counts of all images' pixels together, at every step."""
        return Counts(self.tp, self.fp, self.tp[-1] - self.tp, self.fp[-1] - self.fp)


def survey(levels: Map, mask: Mask, *, ignore_border: int = 0) -> tuple[ImageScores, Sums, Histogram]:
    """Scores a 16-bit map against its mask at full resolution, at every step.

    The histogram has host and spliced pixels in bins of descending probability, for the interval of a pooled AUC.

    Args:
      levels: the map.
      mask: True = spliced.
      ignore_border: pixels this close to the mask's boundary, on either side, are ignored; 0: none are.

    Raises:
      ValueError: map and mask differ in size, or no spliced pixel counts, so that there is nothing to localize.
    """
    curve = _curve(levels, mask, ignore_border)
    opposite = metrics.inverted(curve.counts)
    both = np.array([[score(counts) for score in SCORES.values()] for counts in (curve.counts, opposite)])
    steps = both.argmax(axis=2)
    counts = np.stack(
        [np.stack(kind, axis=1)[steps[polarity]] for polarity, kind in enumerate((curve.counts, opposite))]
    )
    half = np.array([int(count[HALF_STEP]) for count in curve.counts])
    scores = ImageScores(half, counts.swapaxes(0, 1), steps.T, curve.auc())
    both[1] = np.maximum(both[0], both[1])
    return scores, Sums(1, both, curve.counts.tp, curve.counts.fp), histogram(curve.counts).astype(np.int32)


def score_image(levels: Map, mask: Mask) -> ImageScores:
    """The scores of one map; see `survey`."""
    return survey(levels, mask)[0]


def counts_at_steps(
    levels: Map, mask: Mask, steps: Int64[np.ndarray, " steps"], *, ignore_border: int = 0
) -> Int64[np.ndarray, "steps 4"]:
    """tp, fp, fn, tn of one map at some steps; raises as `survey`."""
    counts = _curve(levels, mask, ignore_border).counts
    return np.stack([count[steps] for count in counts], axis=1)


def _curve(levels: Map, mask: Mask, ignore_border: int) -> metrics.Curve:
    if not mask.any():
        raise ValueError("an image without a spliced pixel has no localization score")
    if not ignore_border or levels.shape != mask.shape:
        return metrics.curve(levels, mask)
    kept = ~metrics.boundary_band(mask, ignore_border)
    if not mask[kept].any():
        raise ValueError("an image whose spliced pixels all lie in the ignored border has no localization score")
    return metrics.curve(levels[kept], mask[kept])


def histogram(counts: Counts) -> Int64[np.ndarray, f"2 {BINS}"]:
    """Computed from the counts at every step, whose differences are the pixels at each level, highest level first."""
    bins = BINS - 1 - _BIN[::-1]
    return np.stack([np.bincount(bins, np.diff(each), BINS) for each in (counts.fp, counts.tp)]).astype(np.int64)
