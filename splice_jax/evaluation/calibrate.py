"""Calibrates a trained `sgt`: what its logits mean on photographs that are innocent.

One number is raised or lowered for all maps, one more follows the image's own logit, so that a threshold of 0.5 marks
over 1 % of the picture in a given share of authentic photographs; a slope and an intercept turn the image's logit into
a probability.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32
from scipy import optimize, stats

from splice_jax.data import Example
from splice_jax.methods.trained.semi_global_traces.localizer import SemiGlobalTracesLocalizer
from splice_jax.metrics import Counts, f1
from splice_jax.models.traces.reading import as_stored, read
from splice_jax.weights.calibration import Calibration

MARKED = 0.01
"""Share of a picture that has to be marked for an alarm."""
RATE = 0.1
"""Share of authentic photographs that may give an alarm."""
GATES = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
"""How much a map may follow the image's own logit."""

_SQUARE = 4


class Judged(NamedTuple):
    """What a network says about one image, before calibration."""

    logits: Float32[np.ndarray, "rows columns"]
    """Of squares of 4x4 pixels."""
    image: float
    truth: Bool[np.ndarray, "rows columns"]
    """Squares that are mostly spliced."""

    def peak(self, gate: float) -> float:
        """The logit that all but `MARKED` of the squares are below, with the image's own."""
        return float(np.quantile(self.logits, 1 - MARKED)) + gate * self.image

    def f1(self, shift: float, gate: float) -> float:
        """F1 of the squares at a threshold of 0.5."""
        marked = self.logits + shift + gate * self.image >= 0
        both = np.count_nonzero(marked & self.truth)
        false, missed = np.count_nonzero(marked) - both, np.count_nonzero(self.truth) - both
        counts = both, false, missed, marked.size - both - false - missed
        return float(f1(Counts(*map(np.asarray, counts))))


def judge(localizer: SemiGlobalTracesLocalizer, examples: Iterable[Example]) -> list[Judged]:
    """What the localizer's network says about each image."""
    found = []
    for example in examples:
        reading = read(example.image, example.encoded)
        logits, image, _ = localizer.judge(reading)
        rows, columns = logits.shape
        mask = as_stored(example.mask, reading.orientation)[: rows * _SQUARE, : columns * _SQUARE]
        truth = mask.reshape(rows, _SQUARE, columns, _SQUARE).mean((1, 3)) > 0.5
        found.append(Judged(logits, image, truth))
    return found


def shift_for(innocent: Sequence[Judged], gate: float, rate: float = RATE) -> float:
    """What is added to every logit so that at most `rate` of the innocent photographs give an alarm."""
    peaks = np.sort([each.peak(gate) for each in innocent])[::-1]
    allowed = int(rate * len(peaks))
    return -float(np.nextafter(np.float32(peaks[allowed]), np.float32(np.inf)))


def calibrate(
    innocent: Sequence[Judged], spliced: Sequence[Sequence[Judged]], authentic: Sequence[Judged]
) -> Calibration:
    """Chooses the gate by the mean over sets of mean F1, and fits what the image's logit means.

    Args:
        innocent: authentic photographs as they are; the alarm's rate is theirs.
        spliced: sets of spliced images.
        authentic: other authentic images, with which the probability is fitted.
    """
    shifts = {gate: shift_for(innocent, gate) for gate in GATES}
    worth = {
        gate: np.mean([np.mean([each.f1(shift, gate) for each in images]) for images in spliced])
        for gate, shift in shifts.items()
    }
    gate = max(GATES, key=lambda gate: worth[gate])
    positive = np.array([each.image for images in spliced for each in images])
    negative = np.array([each.image for each in (*innocent, *authentic)])
    slope, intercept = balanced_logistic(positive, negative)
    levels = np.sort(np.array([each.image for each in innocent], np.float32))
    return Calibration(shifts[gate], gate, slope, intercept, levels)


def balanced_logistic(positive: np.ndarray, negative: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of a logistic regression in which both classes weigh the same (Platt, 1999)."""

    def loss(line: np.ndarray) -> float:
        slope, intercept = line
        high, low = slope * positive + intercept, slope * negative + intercept
        return float(np.logaddexp(0, -high).mean() + np.logaddexp(0, low).mean())

    return tuple(float(value) for value in optimize.minimize(loss, [1.0, 0.0], method="Nelder-Mead").x)  # type: ignore[return-value]


def share_interval(count: int, total: int) -> tuple[float, float]:
    """The Clopper-Pearson 95 % interval of a share.

    >>> [round(end, 3) for end in share_interval(10, 100)]
    [0.049, 0.176]
    """
    found = stats.binomtest(count, total).proportion_ci(method="exact")
    return float(found.low), float(found.high)
