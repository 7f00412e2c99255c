"""Writing PNG."""

import io

import numpy as np
from jaxtyping import Bool, UInt8, UInt16
from PIL import Image

Pictures = UInt8[np.ndarray, "height width 3"] | UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]


def encode_png(pixels: Pictures | Bool[np.ndarray, "height width"]) -> bytes:
    """A PNG of RGB, 8-bit grey, 16-bit grey or boolean pixels; booleans are written as 0 and 255."""
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG")
    return encoded.getvalue()
