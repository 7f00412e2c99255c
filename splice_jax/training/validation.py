"""Scores and pictures of whole validation images."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from splice_jax import metrics
from splice_jax.data import Example
from splice_jax.images import resize
from splice_jax.methods.localizer import Found, Localizer

PICTURES, PICTURE_HEIGHT, PICTURE_WIDTH = 4, 160, 240


def validate(
    localizer: Localizer, examples: Sequence[Example]
) -> tuple[dict[str, float], UInt8[np.ndarray, "height width 3"]]:
    """Means over images of F1 and MCC, and the first images beside their masks and maps.

    Returns:
        scores `validation/{f1,mcc}_best` (best threshold per image), `validation/{f1,mcc}` (threshold 0.5), `auc`,
        and those of the localizer's own (`Found.scores`).
    """
    scores: list[dict[str, float]] = []
    rows: list[np.ndarray] = []
    for example in examples:
        found = localizer(example.image)
        scores.append(_scores(found, example))
        if len(rows) < PICTURES:
            rows.append(_picture(found, example))
    return {f"validation/{name}": _mean([score[name] for score in scores]) for name in scores[0]}, np.concatenate(rows)


def _mean(values: Sequence[float]) -> float:
    """Over the images where it is defined: an image that is spliced everywhere has no AUC. 0 where there is none."""
    defined = [value for value in values if np.isfinite(value)]
    return float(np.mean(defined)) if defined else 0.0


def _scores(found: Found, example: Example) -> dict[str, float]:
    curve = metrics.curve(metrics.quantize(found.probability), example.mask)
    fixed = curve.at(0.5)
    return {
        "f1_best": curve.best(metrics.f1).value,
        "mcc_best": curve.best(metrics.mcc).value,
        "f1": float(metrics.f1(fixed)),
        "mcc": float(metrics.mcc(fixed)),
        "auc": curve.auc(),
        **found.scores(example.mask),
    }


def _picture(found: Found, example: Example) -> UInt8[np.ndarray, "height 3*width 3"]:
    grey = [np.uint8(255) * example.mask, np.rint(255 * found.probability).astype(np.uint8)]
    tiles = [example.image, *(np.repeat(map_[..., None], 3, 2) for map_ in grey)]
    return np.concatenate([resize(tile, (PICTURE_HEIGHT, PICTURE_WIDTH)) for tile in tiles], axis=1)
