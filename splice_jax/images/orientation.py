"""Turning pictures upright."""

import numpy as np
from jaxtyping import Shaped
from PIL import Image

_ORIENTATION = 0x0112


def exif_orientation(image: Image.Image) -> int:
    """The EXIF orientation of the stored pixels: 1 … 8, and 1 if the file does not say."""
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Metadata too broken for Pillow to parse say nothing about the pixels.
        return 1


def upright(
    pixels: Shaped[np.ndarray, "height width *channels"], orientation: int
) -> Shaped[np.ndarray, "upright_height upright_width *channels"]:
    """Turns stored pixels, or a map of them, upright by the EXIF orientation; unchanged unless it is 2 … 8."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def inverse(orientation: int) -> int:
    """The orientation that undoes another: only quarter turns have a direction."""
    return {6: 8, 8: 6}.get(orientation, orientation)


def as_stored(
    pixels: Shaped[np.ndarray, "height width *channels"], orientation: int
) -> Shaped[np.ndarray, "stored_height stored_width *channels"]:
    """Turns upright pixels back to how the file stores them: the inverse of `upright`."""
    return upright(pixels, inverse(orientation))
