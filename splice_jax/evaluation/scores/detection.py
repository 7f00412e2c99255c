"""Is an image spliced at all? Authentic images, which localization scores cannot use, show false alarms."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt16

from splice_jax.evaluation.scores import bootstrap
from splice_jax.metrics import LEVELS

TAIL = 0.05
"""An image's score is the highest probability that this share of its pixels reaches: the 95th percentile of its map."""

ALARM = 0.01
"""An image is called spliced if more than this share of its pixels is at 0.5 or above."""

IMAGE_SCORE = "95th percentile of the map"
FALSE_ALARM = "more than 1 % of the pixels at 0.5 or above"


class ImageLevel(NamedTuple):
    """What a map says about its image as a whole."""

    spliced: bool
    score: float
    """In [0, 1], see `TAIL`."""
    marked: float
    """Share of pixels with a probability of at least 0.5."""


def image_level(levels: UInt16[np.ndarray, "height width"], *, spliced: bool) -> ImageLevel:
    """Computed from one 16-bit map; every pixel counts."""
    reached = np.cumsum(np.bincount(levels.ravel(), minlength=LEVELS + 1)[::-1])
    level = LEVELS - int(np.searchsorted(reached, TAIL * levels.size))
    return ImageLevel(spliced, level / LEVELS, float(reached[LEVELS - 32768] / levels.size))


def summarize(images: Sequence[ImageLevel], *, seed: int) -> dict[str, Any] | None:
    """The `detection` of a row in scores.json; None without both an authentic and a spliced image that have maps."""
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
    }


def _alarms(images: Sequence[ImageLevel]) -> float:
    return float(np.mean([image.marked > ALARM for image in images]))
