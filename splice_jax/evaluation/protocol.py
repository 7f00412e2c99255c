"""What "F1" means here: how scores of images become scores of a method.

The literature computes a dozen different numbers under that name. A `Convention` says which one it is; every number
that leaves this package carries its convention. All functions are pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt16

from splice_jax import metrics

RESAMPLES = 2000
"""Bootstrap samples behind every interval."""


@dataclass(frozen=True)
class Convention:
    """One way to turn maps into one number; the words are those of scores.json."""

    threshold: str
    """`0.5`, or `best-per-image`: each score at the threshold that is best for it on this image, an oracle."""
    average: str = "images"
    """`images`: the mean over images."""
    polarity: str = "given"
    """`given`: higher = more likely spliced, as the method says."""

    def __str__(self) -> str:
        """The convention in full, for titles."""
        return f"{_WORDS[self.threshold]}, {_WORDS[self.polarity]}, {_WORDS[self.average]}"


_WORDS = {
    "0.5": "at threshold 0.5",
    "best-per-image": "at the best threshold per image (oracle)",
    "given": "given polarity",
    "images": "mean over images",
}

HEADLINE = Convention("best-per-image")
CONVENTIONS = (HEADLINE, Convention("0.5"))


class Scores(NamedTuple):
    """The three scores of one image under one convention."""

    f1: float
    mcc: float
    iou: float


@dataclass(frozen=True)
class ImageScores:
    """All scores of one map."""

    spliced_share: float
    """Share of the image's pixels that are spliced, in (0, 1]."""
    at: dict[str, Scores]
    """By a convention's threshold."""
    best: Scores
    """The thresholds at which `at["best-per-image"]` was attained; infinite where marking nothing is best."""
    auc: float
    """NaN where the whole image is spliced."""


_SCORES: tuple[metrics.Score, ...] = (metrics.f1, metrics.mcc, metrics.iou)


def score_image(levels: UInt16[np.ndarray, "height width"], mask: Bool[np.ndarray, "height width"]) -> ImageScores:
    """Scores a 16-bit map against its mask at full resolution; every pixel counts.

    Raises:
      ValueError: map and mask of different size, or a mask without a spliced pixel: there is nothing to localize.
    """
    if not mask.any():
        raise ValueError("an image without a spliced pixel has no localization score")
    curve = metrics.curve(levels, mask)
    best = [curve.best(score) for score in _SCORES]
    half = curve.at(0.5)
    at = {
        "best-per-image": Scores(*(found.value for found in best)),
        "0.5": Scores(*(float(score(half)) for score in _SCORES)),
    }
    return ImageScores(float(mask.mean()), at, Scores(*(found.threshold for found in best)), curve.auc())


def summarize(images: Sequence[ImageScores], *, seed: int) -> list[dict[str, Any]]:
    """The `scores` of one row of scores.json: one entry per convention, the headline first.

    Args:
      images: the scores of one method on every spliced image, in the same order for every method.
      seed: of the bootstrap; with the same seed and number of images the same images are drawn for every method.
    """
    return [_summary(images, convention, seed) for convention in CONVENTIONS]


def _summary(images: Sequence[ImageScores], convention: Convention, seed: int) -> dict[str, Any]:
    scores = np.array([image.at[convention.threshold] for image in images], np.float64)
    f1, mcc, iou = scores.mean(axis=0).tolist()
    areas = np.array([image.auc for image in images])
    areas = areas[~np.isnan(areas)]
    return {
        "threshold": convention.threshold,
        "average": convention.average,
        "polarity": convention.polarity,
        "f1": f1,
        "f1_ci95": bootstrap_interval(scores[:, 0], seed=seed),
        "mcc": mcc,
        "mcc_ci95": bootstrap_interval(scores[:, 1], seed=seed),
        "iou": iou,
        "auc": float(areas.mean()) if areas.size else None,
    }


def bootstrap_interval(values: Float[np.ndarray, " images"], *, seed: int) -> list[float]:
    """The 95 % percentile interval of the mean over images drawn with replacement (Efron 1979), as [low, high]."""
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    return np.percentile(values[drawn].mean(axis=1), [2.5, 97.5]).tolist()


def find(scores: Sequence[dict[str, Any]], convention: Convention) -> dict[str, Any]:
    """The entry of a row's `scores` under a convention."""
    return next(
        entry
        for entry in scores
        if (entry["threshold"], entry["average"], entry["polarity"])
        == (convention.threshold, convention.average, convention.polarity)
    )
