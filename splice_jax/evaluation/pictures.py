"""Small pictures for the report, as data URIs: photographs, masks, maps and what a map got wrong."""

import base64
import io

import numpy as np
from jaxtyping import Bool, Float, UInt8, UInt16
from PIL import Image

from splice_jax import metrics

LONGEST_SIDE = 420
"""Pixels; large enough for a column of the report on a dense screen."""

FALSE_POSITIVE = (235, 140, 0)
MISS = (20, 120, 230)
"""Orange and blue stay apart for every kind of colour blindness."""

# Dark blue, violet, orange, pale yellow: rises evenly in lightness, so it reads in grey as well.
_HEAT = np.array([[4, 5, 22], [66, 15, 108], [148, 38, 103], [220, 80, 58], [252, 165, 10], [252, 255, 190]])
HEAT_CSS = ", ".join("rgb({} {} {})".format(*colour) for colour in _HEAT)
"""The colours of `heat_map` as stops of a gradient."""

Pixels = UInt8[np.ndarray, "height width 3"]


def photograph(image: Pixels) -> str:
    """The image, reduced."""
    return _jpeg(_reduce(Image.fromarray(image)))


def mask(spliced: Bool[np.ndarray, "height width"]) -> str:
    """The ground truth in black and white, reduced."""
    return _data_uri(_reduce(Image.fromarray(spliced.astype(np.uint8) * 255)), "PNG", optimize=True)


def heat_map(levels: UInt16[np.ndarray, "height width"]) -> str:
    """A 16-bit map in colours, dark = 0 and bright = 1, reduced."""
    probability = _reduce(Image.fromarray((levels / np.float32(metrics.LEVELS)).astype(np.float32)))
    return _jpeg(Image.fromarray(_heat(np.array(probability))))


def errors(
    image: Pixels, spliced: Bool[np.ndarray, "height width"], predicted: Bool[np.ndarray, "height width"]
) -> str:
    """The image with false positives orange, misses blue, what was rightly found in its colours and the rest grey."""
    small = _reduce(Image.fromarray(image))
    truth, guess = (np.array(_reduce(Image.fromarray(map_), Image.Resampling.NEAREST)) for map_ in (spliced, predicted))
    colour = np.array(small, np.float32)
    grey = np.array(small.convert("L").convert("RGB"), np.float32)
    shown = np.where((truth & guess)[..., None], colour, 0.45 * grey + 30)
    for wrong, tint in ((guess & ~truth, FALSE_POSITIVE), (truth & ~guess, MISS)):
        shown[wrong] = 0.35 * grey[wrong] + 0.65 * np.array(tint, np.float32)
    return _jpeg(Image.fromarray(shown.clip(0, 255).astype(np.uint8)))


def _heat(probability: Float[np.ndarray, "height width"]) -> Pixels:
    stops = np.linspace(0, 1, len(_HEAT))
    return np.stack([np.interp(probability, stops, channel) for channel in _HEAT.T], axis=-1).astype(np.uint8)


def _reduce(picture: Image.Image, resampling: Image.Resampling = Image.Resampling.BOX) -> Image.Image:
    ratio = LONGEST_SIDE / max(picture.size)
    if ratio >= 1:
        return picture
    width, height = (max(1, round(side * ratio)) for side in picture.size)
    return picture.resize((width, height), resampling)


def _jpeg(picture: Image.Image) -> str:
    return _data_uri(picture, "JPEG", quality=82)


def _data_uri(picture: Image.Image, kind: str, **options: object) -> str:
    encoded = io.BytesIO()
    picture.save(encoded, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(encoded.getvalue()).decode('ascii')}"
