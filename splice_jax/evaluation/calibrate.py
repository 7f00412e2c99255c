"""Calibrates a trained `sgt`: what its logits mean on photographs that are innocent.

All maps are raised or lowered by one number, and maps of images whose own logit is below a gate are lowered steeply,
so that a threshold of 0.5 marks over 1 % of the picture in a given share of authentic photographs; a slope and an
intercept turn the image's logit into a probability.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32
from scipy import optimize

from splice_jax.data import Example
from splice_jax.methods.trained.semi_global_traces.localizer import SemiGlobalTracesLocalizer
from splice_jax.metrics import Counts, f1
from splice_jax.models.traces.reading import read
from splice_jax.weights.calibration import STEEPNESS, Calibration

MARKED = 0.01
"""Share of a picture that has to be marked for an alarm."""
RATE = 0.05
"""Share of authentic photographs that may give an alarm, so that of some hundred of them the 95 % interval of what is
counted ends at 0.1: set to 0.1 itself, two versions of the packaged model gave more alarms on other photographs."""
SHIFTS = tuple(float(shift) for shift in np.arange(-4, 3.1, 0.5))
"""By how much all maps may be raised."""

_SQUARE = 4
_NO_GATE = -100.0
"""Below every logit of an image."""


class Judged(NamedTuple):
    """What a network says about one image, before calibration."""

    logits: Float32[np.ndarray, "rows columns"]
    """Of squares of 4x4 pixels."""
    image: float
    truth: Bool[np.ndarray, "rows columns"]
    """Squares that are mostly spliced."""

    @property
    def peak(self) -> float:
        """The logit that all but `MARKED` of the squares are below."""
        return float(np.quantile(self.logits, 1 - MARKED))

    def f1(self, calibration: Calibration) -> float:
        """F1 of the squares at a threshold of 0.5."""
        marked = calibration.of_map(self.logits, self.image) >= 0
        both = np.count_nonzero(marked & self.truth)
        false, missed = np.count_nonzero(marked) - both, np.count_nonzero(self.truth) - both
        counts = both, false, missed, marked.size - both - false - missed
        return float(f1(Counts(*map(np.asarray, counts))))

    def gives_an_alarm(self, calibration: Calibration) -> bool:
        """Whether over `MARKED` of the picture is marked."""
        return bool(calibration.of_map(np.array([self.peak]), self.image)[0] > 0)


def judge(localizer: SemiGlobalTracesLocalizer, examples: Iterable[Example]) -> list[Judged]:
    """What the localizer's network says about each image."""
    found = []
    for example in examples:
        reading = read(example.image, example.encoded)
        logits, image, _ = localizer.judge(reading)
        rows, columns = logits.shape
        truth = reading.cut(example.mask).reshape(rows, _SQUARE, columns, _SQUARE).mean((1, 3)) > 0.5
        found.append(Judged(logits, image, truth))
    return found


def gate_for(innocent: Sequence[Judged], shift: float, rate: float = RATE) -> float:
    """The lowest gate, given the shift, at which at most `rate` of the innocent photographs give an alarm.

    A photograph gives none once the gate is higher than its own logit by what its peak exceeds the threshold by, over
    `STEEPNESS`; with a peak below the threshold, at no gate.
    """
    silent = sorted(
        (each.image + (each.peak + shift) / STEEPNESS if each.peak + shift > 0 else -np.inf for each in innocent),
        reverse=True,
    )
    lowest = silent[int(rate * len(silent))]
    return _NO_GATE if np.isinf(lowest) else float(lowest) + 1e-4


def calibrate(
    innocent: Sequence[Judged],
    spliced: Sequence[Sequence[Judged]],
    authentic: Sequence[Judged],
    rate: float = RATE,
    *,
    kinds: Sequence[str] = (),
) -> Calibration:
    """Chooses the shift by the mean over sets of mean F1, and fits what the image's logit means.

    Args:
        innocent: authentic photographs as they are; the alarm's rate is theirs.
        spliced: sets of spliced images.
        authentic: other authentic images, with which the probability is fitted.
        rate: share of the innocent photographs that may give an alarm.
        kinds: of the innocent photographs, see `weights.calibration.KINDS`; empty where they are not known.
    """
    positive = np.array([each.image for images in spliced for each in images])
    negative = np.array([each.image for each in (*innocent, *authentic)])
    slope, intercept = balanced_logistic(positive, negative)
    levels = np.array([each.image for each in innocent], np.float32)
    order = np.argsort(levels, kind="stable")
    counted = levels[order], np.array(kinds, str)[order if len(kinds) else []]
    candidates = [Calibration(shift, gate_for(innocent, shift, rate), slope, intercept, *counted) for shift in SHIFTS]
    return max(candidates, key=lambda each: worth(each, spliced))


def worth(calibration: Calibration, spliced: Sequence[Sequence[Judged]]) -> float:
    """Mean over sets of mean F1 at a threshold of 0.5."""
    return float(np.mean([np.mean([each.f1(calibration) for each in images]) for images in spliced]))


def balanced_logistic(positive: np.ndarray, negative: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of a logistic regression in which both classes weigh the same (Platt, 1999)."""

    def loss(line: np.ndarray) -> float:
        slope, intercept = line
        high, low = slope * positive + intercept, slope * negative + intercept
        return float(np.logaddexp(0, -high).mean() + np.logaddexp(0, low).mean())

    return tuple(float(value) for value in optimize.minimize(loss, [1.0, 0.0], method="Nelder-Mead").x)  # type: ignore[return-value]
