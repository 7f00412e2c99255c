"""How a cut-out and a host become one picture: soft borders, matched tones, and blending in the gradient domain."""

import numpy as np
from jaxtyping import Float32
from scipy import sparse
from scipy.sparse import linalg

from splice_jax.data.composing.camera import Image, blur, to_uint8
from splice_jax.data.composing.objects import Mask

TOLERANCE = 1e-3
"""Relative residual at which the gradient-domain solution is good enough: well below a level."""
ITERATIONS = 400

Alpha = Float32[np.ndarray, "height width"]


def blend(host: Image, donor: Image, alpha: Alpha) -> Image:
    """`donor` over `host` at an opacity of 0 … 1 per pixel; pixels of opacity 0 are the host's own."""
    opacity = alpha[..., None]
    return to_uint8(host * (1 - opacity) + donor * opacity)


def soft(shape: Mask, sigma: float) -> Alpha:
    """The opacity of a shape whose border is softened by a Gaussian of `sigma` pixels; 0 for a hard border."""
    return blur(shape.astype(np.float32), sigma)


def match_tone(donor: Image, shape: Mask, host: Image, strength: float) -> Image:
    """The donor with the mean and the contrast of each channel inside `shape` moved towards the host's.

    Args:
        donor: of the host's size, in place.
        shape: what is shown of it; at least one pixel.
        host: what it is matched to, as a whole.
        strength: 0 for not at all, 1 for the host's own mean; contrast changes by a factor of 0.7 to 1.4 at most.
    """
    inside, around = donor[shape].astype(np.float32), host.reshape(-1, 3).astype(np.float32)
    contrast = (around.std(axis=0) + 1) / (inside.std(axis=0) + 1)
    contrast = np.clip(contrast, 0.7, 1.4) ** strength
    mean = inside.mean(axis=0)
    return to_uint8((donor - mean) * contrast + mean + strength * (around.mean(axis=0) - mean))


def gradient_domain(host: Image, donor: Image, shape: Mask) -> Image:
    """Poisson image editing (Pérez, Gangnet & Blake, SIGGRAPH 2003): the donor's gradients, the host's border.

    Args:
        host: what is pasted into.
        donor: of the same size, in place.
        shape: the pixels that are solved for; along the picture's border they stay the host's.
    """
    inside = shape.copy()
    inside[[0, -1]] = inside[:, [0, -1]] = False
    if not inside.any():
        return host
    number = np.full(inside.shape, -1)
    number[inside] = np.arange(np.count_nonzero(inside))
    source, target = donor.astype(np.float64), host.astype(np.float64)
    place = np.argwhere(inside)
    right_side = np.zeros((len(place), 3))
    rows, columns = [], []
    for step in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        there = tuple((place + step).T)
        right_side += source[inside] - source[there]
        neighbour = number[there]
        outside = neighbour < 0
        right_side[outside] += target[there][outside]
        rows.append(np.flatnonzero(~outside))
        columns.append(neighbour[~outside])
    row, column = np.concatenate(rows), np.concatenate(columns)
    laplacian = sparse.csr_array((np.full(len(row), -1.0), (row, column)), (len(place), len(place)))
    laplacian += 4 * sparse.eye_array(len(place), format="csr")
    edited = host.copy()
    edited[inside] = to_uint8(np.stack([_solve(laplacian, right_side[:, each]) for each in range(3)], axis=1))
    return edited


def _solve(matrix: sparse.csr_array, right_side: np.ndarray) -> np.ndarray:
    return linalg.cg(matrix, right_side, rtol=TOLERANCE, maxiter=ITERATIONS)[0]
