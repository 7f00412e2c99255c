"""Pictures and maps at other sizes."""

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

THUMBNAIL_SIZE = 224


def resize(
    image: UInt8[np.ndarray, "height width 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "new_height new_width 3"]:
    """The whole image at `size` (height, width), resized by Pillow's Lanczos filter, which averages when shrinking."""
    height, width = size
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def resize_map(
    probability: Float32[np.ndarray, "height width"], size: tuple[int, int]
) -> Float32[np.ndarray, "new_height new_width"]:
    """A map at `size` (height, width), resized bilinearly, averaging when shrinking; still in [0, 1]."""
    if probability.shape == size:
        return probability
    resized = Image.fromarray(probability).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.array(resized, np.float32).clip(0, 1)


def nearest(pixels: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Pixels of any type at another (height, width), by nearest neighbour: each takes the value at its centre."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(size, pixels.shape, strict=True)
    )
    return pixels[np.ix_(rows, columns)]


def thumbnail(image: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "224 224 3"]:
    """The whole image at the fixed size that the global network sees."""
    return resize(image, (THUMBNAIL_SIZE, THUMBNAIL_SIZE))
