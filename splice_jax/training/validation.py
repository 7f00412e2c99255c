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
    """Localizes the splices of validation images and scores the maps.

    Returns:
        means over the images of `validation/{f1,mcc}_best` (at each image's best threshold), `validation/{f1,mcc}`
        (at threshold 0.5), `validation/auc` and the localizer's own scores (`Found.further_scores`); and a picture with
        one of the first images, its mask and its map side by side on each line.
    """
    scores: list[dict[str, float]] = []
    rows: list[np.ndarray] = []
    for example in examples:
        # As in an evaluation: some methods read what decoding discards.
        encoded = example.encoded
        found = localizer.localize_encoded(example.image, encoded) if encoded else localizer(example.image)
        scores.append(_scores(found, example))
        if len(rows) < PICTURES:
            rows.append(_picture(found, example))
    return {f"validation/{name}": _mean([score[name] for score in scores]) for name in scores[0]}, np.concatenate(rows)


def _mean(values: Sequence[float]) -> float:
    """Mean over images with a defined score, 0 if there are none: an image spliced everywhere has no AUC."""
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
        **found.further_scores(example.mask),
    }


def _picture(found: Found, example: Example) -> UInt8[np.ndarray, "height 3*width 3"]:
    grey = [np.uint8(255) * example.mask, np.rint(255 * found.probability).astype(np.uint8)]
    tiles = [example.image, *(np.repeat(map_[..., None], 3, 2) for map_ in grey)]
    return np.concatenate([resize(tile, (PICTURE_HEIGHT, PICTURE_WIDTH)) for tile in tiles], axis=1)
