"""Does an image's score mean what it says? Calibrated probabilities of a splice, against what images are.

All of it as if half of the images were spliced, whatever their share in the split: each kind weighs one half.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64

from splice_jax.evaluation.scores import bootstrap

BINS = 10
"""Equal bins of the score, from 0 to 1, in which it is compared with the share of spliced images."""
_UNITS = 10**6


def summarize(
    scores: Float[np.ndarray, " images"], spliced: Bool[np.ndarray, " images"], *, seed: int
) -> dict[str, Any]:
    """AUC, balanced accuracy at 0.5 and expected calibration error, with intervals, and the reliability diagram.

    Args:
        scores: probabilities of a splice.
        spliced: the truth; both kinds occur.
        seed: of the bootstrap.
    """
    auc, interval = bootstrap.of_two_groups(scores[spliced], scores[~spliced], seed=seed)
    features = _features(scores, spliced)
    found: dict[str, Any] = {"auc": auc, "auc_ci95": interval}
    for name, statistic in (("balanced_accuracy", _balanced_accuracy), ("ece", _calibration_error)):
        found[name] = float(statistic(features.sum(axis=0, dtype=float)[None])[0])
        found[f"{name}_ci95"] = bootstrap.of_pooled(features, statistic, seed=seed)
    return found | {"bins": _diagram(features.sum(axis=0, dtype=float))}


def _features(scores: np.ndarray, spliced: np.ndarray) -> np.ndarray:
    """Per image, kind (authentic, spliced) and bin: [1, its score, whether it is right at 0.5], of whole numbers."""
    features = np.zeros((len(scores), 2, BINS, 3), np.int64)
    place = np.arange(len(scores)), spliced.astype(int), np.minimum((scores * BINS).astype(int), BINS - 1)
    features[place] = np.stack([np.ones(len(scores)), np.rint(scores * _UNITS), (scores >= 0.5) == spliced], axis=1)
    return features


def _balanced_accuracy(sums: Float64[np.ndarray, "samples 2 bins 3"]) -> Float64[np.ndarray, " samples"]:
    """Mean of the shares of authentic and of spliced images that are told right; NaN without one of them."""
    count, right = sums[..., 0].sum(2), sums[..., 2].sum(2)
    return np.where(count > 0, right / np.where(count > 0, count, 1), np.nan).mean(axis=1)


def _calibration_error(sums: Float64[np.ndarray, "samples 2 bins 3"]) -> Float64[np.ndarray, " samples"]:
    """Mean over images of the distance, in their bin, between mean score and share of spliced ones."""
    weight = _weights(sums)
    said = (weight * sums[..., 1] / _UNITS).sum(1)
    true = (weight * sums[..., 0])[:, 1]
    return np.abs(said - true).sum(axis=1)


def _weights(sums: np.ndarray) -> np.ndarray:
    """What one image of each kind weighs: together, each kind weighs one half."""
    count = sums[..., 0].sum(2, keepdims=True)
    return np.where(count > 0, 0.5 / np.where(count > 0, count, 1), np.nan)


def _diagram(sums: Float64[np.ndarray, "2 bins 3"]) -> list[dict[str, Any]]:
    """For every bin with images: their number, their mean score, and the share of them that is spliced."""
    weight = _weights(sums[None])[0]
    mass = weight * sums[..., 0]
    said = (weight * sums[..., 1]).sum(0) / _UNITS
    return [
        {
            "from": bin / BINS,
            "images": int(sums[:, bin, 0].sum()),
            "score": float(said[bin] / mass[:, bin].sum()),
            "spliced": float(mass[1, bin] / mass[:, bin].sum()),
        }
        for bin in range(BINS)
        if sums[:, bin, 0].sum()
    ]
