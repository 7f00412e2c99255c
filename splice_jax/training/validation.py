"""Scores and pictures of whole validation images."""

import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from splice_jax import hosts, metrics
from splice_jax.data import Example
from splice_jax.errors import Stop
from splice_jax.images import resize
from splice_jax.methods.localizer import Found, Localizer

PICTURES, PICTURE_HEIGHT, PICTURE_WIDTH = 4, 160, 240


def validate(
    localizer: Localizer, examples: Sequence[Example], stop: Stop | None = None
) -> tuple[dict[str, float], UInt8[np.ndarray, "height width 3"]] | None:
    """Localizes the splices of validation images and scores the maps; each process takes its share of the images.

    Returns:
        means over the images of `validation/{f1,mcc}_best` (at each image's best threshold), `validation/{f1,mcc}`
        (at threshold 0.5), `validation/auc` and the localizer's own scores (`Found.further_scores`); and a picture with
        one of this process's first images, its mask and its map side by side on each line. None if any process was
        asked to stop before it was done.
    """
    scores: list[dict[str, float]] = []
    rows: list[np.ndarray] = [np.empty((0, 3 * PICTURE_WIDTH, 3), np.uint8)]
    for example in hosts.share(examples):
        if stop is not None and stop.asked:
            break
        # As in an evaluation: some methods read what decoding discards.
        encoded = example.encoded
        found = localizer.localize_encoded(example.image, encoded) if encoded else localizer(example.image)
        scores.append(_scores(found, example))
        if len(rows) <= PICTURES:
            rows.append(_picture(found, example))
    everyone = hosts.gather(scores)
    if sum(map(len, everyone)) < len(examples):
        return None
    in_order = [of_one for of_all in itertools.zip_longest(*everyone) for of_one in of_all if of_one is not None]
    means = {f"validation/{name}": _mean([score[name] for score in in_order]) for name in in_order[0]}
    return means, np.concatenate(rows)


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
