"""Is an image spliced at all? Authentic images, which localization scores cannot use, show false alarms."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt16

from splice_jax.evaluation.scores import bootstrap, reliability
from splice_jax.metrics import LEVELS

TAIL = 0.05
"""An image's score is the highest probability that this share of its pixels reaches: the 95th percentile of its map."""

ALARM = 0.01
"""An image is called spliced if more than this share of its pixels is at 0.5 or above."""

RATE = 0.1
"""Share of authentic images that may be called spliced, where a threshold is chosen by it."""

IMAGE_SCORE = "95th percentile of the map"
FALSE_ALARM = "more than 1 % of the pixels at 0.5 or above"


class ImageLevel(NamedTuple):
    """What a map says about its image as a whole."""

    spliced: bool
    score: float
    """In [0, 1], see `TAIL`."""
    marked: float
    """Share of pixels with a probability of at least 0.5."""
    peak: int = 0
    """Highest level, 0 … 65535, at which the image would be called spliced: over `ALARM` of its pixels reach it."""


def image_level(levels: UInt16[np.ndarray, "height width"], *, spliced: bool) -> ImageLevel:
    """Computed from one 16-bit map; every pixel counts."""
    reached = np.cumsum(np.bincount(levels.ravel(), minlength=LEVELS + 1)[::-1])
    level = LEVELS - int(np.searchsorted(reached, TAIL * levels.size))
    peak = LEVELS - int(np.searchsorted(reached, ALARM * levels.size, side="right"))
    return ImageLevel(spliced, level / LEVELS, float(reached[LEVELS - 32768] / levels.size), peak)


def false_alarm_step(images: Sequence[ImageLevel]) -> int | None:
    """The step of the lowest threshold at which at most `RATE` of the authentic images are called spliced.

    Step s marks the s highest levels; None if there is no authentic image.

    >>> quiet, loud = ImageLevel(False, 0, 0, peak=100), ImageLevel(False, 0, 0, peak=65000)
    >>> false_alarm_step([quiet] * 9 + [loud]), false_alarm_step([quiet] * 9)  # levels above 100
    (65435, 65435)
    """
    peaks = sorted((image.peak for image in images if not image.spliced), reverse=True)
    return LEVELS - peaks[int(RATE * len(peaks))] if peaks else None


def summarize(
    images: Sequence[ImageLevel],
    *,
    seed: int,
    at_rate: Mapping[str, Any] | None = None,
    calibrated: Sequence[float | None] = (),
) -> dict[str, Any] | None:
    """The `detection` of a row in scores.json; None without both an authentic and a spliced image that have maps.

    Args:
        images: all that have maps.
        seed: of the bootstrap.
        at_rate: the localization scores at the threshold of `false_alarm_step`.
        calibrated: `Found.score` of every image, None where the method has none.
    """
    spliced = [image for image in images if image.spliced]
    authentic = [image for image in images if not image.spliced]
    if not authentic or not spliced:
        return None
    scores = (np.array([image.score for image in group]) for group in (spliced, authentic))
    auc, interval = bootstrap.of_two_groups(*scores, seed=seed)
    return {
        "image_score": IMAGE_SCORE,
        "auc": auc,
        "auc_ci95": interval,
        "false_positive_pixels": float(np.mean([image.marked for image in authentic])),
        "alarm": FALSE_ALARM,
        "false_alarms": _alarms(authentic),
        "detections": _alarms(spliced),
        "images": {"spliced": len(spliced), "authentic": len(authentic)},
        "score": _of_scores(images, calibrated, seed),
        "at_false_alarms": None if at_rate is None else {"rate": RATE, **at_rate},
    }


def _of_scores(images: Sequence[ImageLevel], scores: Sequence[float | None], seed: int) -> dict[str, Any] | None:
    known = [score for score in scores if score is not None]
    if not known or len(known) < len(images):
        return None
    return reliability.summarize(np.array(known), np.array([image.spliced for image in images]), seed=seed)


def _alarms(images: Sequence[ImageLevel]) -> float:
    return float(np.mean([image.marked > ALARM for image in images]))
