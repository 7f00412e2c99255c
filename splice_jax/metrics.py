"""Scores of a probability map against its mask, computed from pixel counts.

Everywhere in splice_jax, a pixel is predicted spliced if and only if its probability >= threshold. A score is computed
from `Counts`, so one count serves all scores, and the counts of several images can be added before scoring.

The value of 0/0 is defined: F1 and IoU are 1 (nothing is spliced and nothing was predicted, which is right), MCC is 0
(a constant prediction or mask correlates with nothing), and AUC is NaN (there is nothing to rank).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64, Num, UInt16
from scipy import ndimage, special

LEVELS = 65535
"""A 16-bit map holds round(65535 · probability); 0.5 becomes 32768, which is slightly above one half."""


class Counts(NamedTuple):
    """Pixel counts by truth and prediction: four int64 arrays of the same shape, or four numbers."""

    tp: Int64[np.ndarray, "..."]
    fp: Int64[np.ndarray, "..."]
    fn: Int64[np.ndarray, "..."]
    tn: Int64[np.ndarray, "..."]


_STRIP = 256  # rows

Score = Callable[[Counts], Float[np.ndarray, "..."]]


class Best(NamedTuple):
    """A score's highest value and the highest threshold that gives it; infinite if nothing is predicted spliced."""

    threshold: float
    value: float


class Curve(NamedTuple):
    """Counts at every threshold where they change.

    thresholds: descending, from infinity (nothing spliced) to the lowest value (everything spliced).
    counts: one entry per threshold.
    """

    thresholds: Float[np.ndarray, " thresholds"]
    counts: Counts

    def at(self, threshold: float) -> Counts:
        """Counts at any threshold: those at the lowest threshold on the curve that is not below it."""
        index = np.searchsorted(-self.thresholds, -threshold, side="right") - 1
        return Counts(*(count[index] for count in self.counts))

    def best(self, score: Score) -> Best:
        """The exact maximum of a score over all thresholds, including both ends."""
        values = score(self.counts)
        index = int(np.argmax(values))
        return Best(float(self.thresholds[index]), float(values[index]))

    def auc(self) -> float:
        """Area under the receiver operating characteristic, ties counted half; NaN for an empty or a full mask."""
        spliced, host = self.counts.tp[-1], self.counts.fp[-1]
        if spliced == 0 or host == 0:
            return float("nan")
        return float(np.trapezoid(self.counts.tp / spliced, self.counts.fp / host))


def f1(counts: Counts) -> Float[np.ndarray, "..."]:
    """2TP / (2TP + FP + FN), in [0, 1]."""
    return _ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn, undefined=1.0)


def iou(counts: Counts) -> Float[np.ndarray, "..."]:
    """Intersection over union, TP / (TP + FP + FN), in [0, 1]."""
    return _ratio(counts.tp, counts.tp + counts.fp + counts.fn, undefined=1.0)


def accuracy(counts: Counts) -> Float[np.ndarray, "..."]:
    """Share of correctly predicted pixels, in [0, 1]."""
    return _ratio(counts.tp + counts.tn, counts.tp + counts.fp + counts.fn + counts.tn, undefined=1.0)


def mcc(counts: Counts) -> Float[np.ndarray, "..."]:
    """Matthews correlation coefficient (Matthews 1975), signed, in [-1, 1].

    Computed in float64, since products of four megapixel counts overflow int64.
    """
    tp, fp, fn, tn = (np.asarray(count, np.float64) for count in counts)
    return _ratio(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)), undefined=0.0)


def inverted(counts: Counts) -> Counts:
    """The counts of the opposite prediction: what was called spliced is called host, and vice versa.

    >>> inverted(Counts(1, 2, 3, 4))
    Counts(tp=3, fp=4, fn=1, tn=2)
    """
    return Counts(counts.fn, counts.tn, counts.tp, counts.fp)


def boundary_band(mask: Bool[np.ndarray, "height width"], width: int) -> Bool[np.ndarray, "height width"]:
    """Pixels at most `width` king's moves from a pixel of the other kind; the image's edge is not a boundary."""
    inside = mask.view(np.uint8)
    reach = 2 * width + 1
    return ndimage.maximum_filter(inside, reach, mode="nearest") != ndimage.minimum_filter(
        inside, reach, mode="nearest"
    )


def counts_at(probability: Num[np.ndarray, "*shape"], mask: Bool[np.ndarray, "*shape"], threshold: float) -> Counts:
    """Counts of one map at one threshold.

    Args:
      probability: any floating or 16-bit map, higher = more likely spliced; 16-bit levels count as level / 65535.
      mask: True = spliced.
      threshold: pixels are predicted spliced iff probability >= threshold.

    Raises:
      ValueError: shapes differ, or the map holds NaN.
    """
    _check(probability, mask)
    predicted = (probability / LEVELS if probability.dtype == np.uint16 else probability) >= threshold
    tp = np.count_nonzero(predicted & mask)
    positives, spliced = np.count_nonzero(predicted), np.count_nonzero(mask)
    counts = (tp, positives - tp, spliced - tp, mask.size - spliced - positives + tp)
    return Counts(*(np.asarray(count, np.int64) for count in counts))


def curve(probability: Num[np.ndarray, "*shape"], mask: Bool[np.ndarray, "*shape"]) -> Curve:
    """Exact counts at every threshold, for a map or any selection of its pixels.

    A 16-bit map is counted by histogram, and its curve always has the 65,537 thresholds infinity, 1, …, 1/65535, 0, so
    the counts of several images can be added. Any other map is sorted and has one threshold per distinct value.

    Raises:
      ValueError: shapes differ, the map is empty, or it holds NaN.
    """
    _check(probability, mask)
    values, tp, fp = (
        _by_histogram(probability, mask) if probability.dtype == np.uint16 else _by_sorting(probability, mask)
    )
    thresholds, tp, fp = (np.concatenate([[end], values]) for end, values in ((np.inf, values), (0, tp), (0, fp)))
    return Curve(thresholds, Counts(tp, fp, tp[-1] - tp, fp[-1] - fp))


def best_threshold(
    probability: Num[np.ndarray, "height width"], mask: Bool[np.ndarray, "height width"], score: Score
) -> Best:
    """The threshold at which this map scores highest, and that score; exact, see `curve`."""
    return curve(probability, mask).best(score)


def auc(probability: Num[np.ndarray, "height width"], mask: Bool[np.ndarray, "height width"]) -> float:
    """Area under the receiver operating characteristic of one map; NaN for an empty or a full mask."""
    return curve(probability, mask).auc()


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share: at most (1 − confidence) / 2 of all samples lie beyond either end.

    C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
    Biometrika 26, 1934.

    >>> low, high = clopper_pearson(0, 60)
    >>> round(low, 4), round(high, 4)
    (0.0, 0.0596)

    Raises:
        ValueError: more successes than trials, or no trials.
    """
    if not 0 <= successes <= trials or not trials:
        raise ValueError(f"{successes} of {trials} is no share")
    tail = (1 - confidence) / 2
    low = special.betaincinv(successes, trials - successes + 1, tail) if successes else 0.0
    high = special.betaincinv(successes + 1, trials - successes, 1 - tail) if successes < trials else 1.0
    return float(low), float(high)


def quantize(probability: Float[np.ndarray, "height width"]) -> UInt16[np.ndarray, "height width"]:
    """The 16-bit map that is cached and scored: probabilities clipped to [0, 1], times 65535 and rounded.

    Raises:
      ValueError: the map holds NaN.
    """
    levels = np.empty(probability.shape, np.uint16)
    for start in range(0, len(levels), _STRIP):  # a full copy of a hundred megapixels would not fit
        strip = probability[start : start + _STRIP]
        if np.isnan(strip).any():
            raise ValueError("the probability map holds NaN")
        levels[start : start + _STRIP] = np.rint(np.clip(strip, 0, 1) * np.float32(LEVELS))
    return levels


def _by_histogram(levels: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All levels, descending, with the numbers of spliced and host pixels at or above each."""
    joint = levels.ravel() + (mask.ravel().astype(np.int64) << 16)
    host, spliced = np.bincount(joint, minlength=2 * (LEVELS + 1)).reshape(2, LEVELS + 1)
    return np.arange(LEVELS, -1, -1) / LEVELS, np.cumsum(spliced[::-1]), np.cumsum(host[::-1])


def _by_sorting(probability: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct values, descending, with the numbers of spliced and host pixels at or above each."""
    order = np.argsort(-probability, axis=None)
    values = probability.ravel()[order]
    last = np.append(np.flatnonzero(np.diff(values)), values.size - 1)
    tp = np.cumsum(mask.ravel()[order])[last]
    return values[last].astype(np.float64), tp, last + 1 - tp


def _ratio(numerator: np.ndarray, denominator: np.ndarray, *, undefined: float) -> Float[np.ndarray, "..."]:
    """The quotient, or `undefined` where the denominator is 0."""
    result = np.full(np.shape(denominator), undefined)
    return np.divide(numerator, denominator, out=result, where=np.asarray(denominator) != 0)


def _check(probability: np.ndarray, mask: np.ndarray) -> None:
    if probability.shape != mask.shape or mask.size == 0:
        raise ValueError(f"a map of shape {probability.shape} cannot be scored against a mask of shape {mask.shape}")
    if mask.dtype != np.bool_:
        raise ValueError(f"the mask must be boolean, not {mask.dtype}")
    if probability.dtype.kind == "f" and np.isnan(probability).any():
        raise ValueError("the probability map holds NaN")
