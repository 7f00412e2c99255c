"""The pictures of a page: bounded in size, as data URIs, so that a page of any photograph stays below 8 MB.

Maps are 8-bit grey PNGs, averaged when reduced; masks and hatching are sampled, never averaged. The page's sliders
paint from these maps, so that their thresholds are exact to 1/255 and to the reduced size.
"""

import base64
import io

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from PIL import Image
from scipy import ndimage

from splice_jax.images import nearest
from splice_jax.localize.results import TINT

PHOTOGRAPH_SIDE, MAIN_SIDE, ROW_SIDE = 1280, 960, 480
"""Longest sides in pixels: of the photograph, of the main row's map, of the others'."""

HATCH_WIDTH, HATCH_GAP = 2, 8
_HATCH = np.array([[0, 0, 0, 0], [255, 255, 255, 200], [0, 0, 0, 200]], np.uint8)
"""Colours of what is not hatched and of the two lines, RGBA: white beside black shows on any map."""

_TINTS = np.array([[0, 0, 0, 0], [0, 0, 0, 255], [*TINT, 150]], np.uint8)
"""Colours outside, at the edge of and inside what is called spliced, RGBA."""


def photograph(image: UInt8[np.ndarray, "height width 3"], side: int = PHOTOGRAPH_SIDE) -> str:
    """The photograph, reduced to `side`, as a JPEG: for looking at only."""
    return _uri(_reduced(Image.fromarray(image), side), "JPEG", quality=85)


def small(pixels: UInt8[np.ndarray, "height width *channels"]) -> str:
    """A picture as it is, as a PNG."""
    return _uri(Image.fromarray(pixels), "PNG")


def grey_map(probability: Float32[np.ndarray, "height width"], side: int) -> str:
    """A map in grey, 255 = certainly spliced, reduced to `side`."""
    reduced = np.array(_reduced(Image.fromarray(probability), side))
    return _uri(Image.fromarray(np.rint(255 * reduced).clip(0, 255).astype(np.uint8)), "PNG")


def tint(area: Bool[np.ndarray, "height width"], side: int) -> str:
    """What is called spliced in the colour of overlays, outlined in black; transparent elsewhere."""
    inside = _sampled(area, side)
    inner = ndimage.minimum_filter(inside.view(np.uint8), 3, mode="nearest")
    return _uri(Image.fromarray(_TINTS[inside.view(np.uint8) + inner]), "PNG", optimize=True)


def hatching(area: Bool[np.ndarray, "height width"], side: int) -> str:
    """Diagonal lines over an area, transparent elsewhere; empty where there is no such area."""
    if not area.any():
        return ""
    inside = _sampled(area, side)
    rows, columns = np.ogrid[: inside.shape[0], : inside.shape[1]]
    phase = (rows + columns) % HATCH_GAP
    lines = np.where(phase < HATCH_WIDTH, 1, np.where(phase < 2 * HATCH_WIDTH, 2, 0))
    return _uri(Image.fromarray(_HATCH[lines * inside]), "PNG", optimize=True)


def threshold(probability: Float32[np.ndarray, "height width"], area: Bool[np.ndarray, "height width"]) -> float | None:
    """The threshold at which a map gives this mask; None where the mask is no threshold of the map."""
    inside, outside = probability[area], probability[~area]
    if not inside.size or not outside.size:
        return None
    return float(inside.min()) if outside.max() < inside.min() else None


def _sampled(area: Bool[np.ndarray, "height width"], side: int) -> Bool[np.ndarray, "height width"]:
    ratio = side / max(area.shape)
    return area if ratio >= 1 else nearest(area, tuple(max(1, round(length * ratio)) for length in area.shape))


def _reduced(picture: Image.Image, side: int) -> Image.Image:
    ratio = side / max(picture.size)
    if ratio >= 1:
        return picture
    width, height = (max(1, round(length * ratio)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.BOX)


def _uri(picture: Image.Image, kind: str, **options: object) -> str:
    encoded = io.BytesIO()
    picture.save(encoded, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(encoded.getvalue()).decode('ascii')}"
