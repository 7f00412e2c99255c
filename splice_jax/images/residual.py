"""How grainy a picture is."""

import numpy as np
from jaxtyping import UInt8

RESIDUAL_SAMPLES = 2**18
LEAST_RESIDUAL = 0.001


def residual_level(image: UInt8[np.ndarray, "height width 3"]) -> np.float32:
    """How much pixels differ from their 3x3 means: the median over pixels of the mean absolute difference.

    In units of 255, at least `LEAST_RESIDUAL`. In a large image, about `RESIDUAL_SAMPLES` regularly spaced pixels are
    looked at. Their spacing is odd: an even one would only see one site of the camera's colour filter array, which
    differs from the others.
    """
    height, width = image.shape[:2]
    step = 1 + 2 * max(0, round(((height * width / RESIDUAL_SAMPLES) ** 0.5 - 1) / 2))
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    shifted = [padded[y : y + height : step, x : x + width : step] for y in range(3) for x in range(3)]
    mean = np.sum(shifted, axis=0, dtype=np.uint16) / np.float32(9)
    difference = np.abs(shifted[4] - mean).mean(axis=2)
    return np.float32(max(np.median(difference) / 255, LEAST_RESIDUAL))
