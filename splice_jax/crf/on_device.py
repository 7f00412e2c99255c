"""The CRF by JAX: images are padded to few sizes, and lattices are made larger until they suffice."""

import functools
import math
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float32, UInt8

from splice_jax.crf import CLIP, CrfParameters
from splice_jax.crf.mean_field import Inference, Kernels, mean_field

_REACH = 5
"""Standard deviations at which the kernel in position is cut off: it has fallen to 4e-6."""

_SMALLEST_CAPACITY = 4096


def require() -> None:
    """JAX is always installed."""


def refine(
    image: UInt8[np.ndarray, "height width 3"],
    probability: Float32[np.ndarray, "height width"],
    parameters: CrfParameters,
) -> Float32[np.ndarray, "height width"]:
    """The marginal probability of the label spliced after `parameters.iterations` mean-field steps, at full size.

    Takes about 250 bytes per pixel. The first image of a size compiles for seconds; sizes are rounded up, so that few
    differ.
    """
    [refined] = refine_batch([image], [probability], parameters)
    return refined


def refine_batch(
    images: Sequence[UInt8[np.ndarray, "height width 3"]],
    probabilities: Sequence[Float32[np.ndarray, "height width"]],
    parameters: CrfParameters,
) -> list[Float32[np.ndarray, "height width"]]:
    """`refine` for several images at once, padded to the largest: best when `bucket` says the same of all.

    On a CPU they are refined one by one, which is faster there.
    """
    if len(images) > 1 and jax.default_backend() == "cpu":
        return [refine(*pair, parameters) for pair in zip(images, probabilities, strict=True)]
    height, width = (max(sides) for sides in zip(*(bucket(*map_.shape) for map_ in probabilities), strict=True))
    unary = np.zeros((len(images), 2, height, width), np.float32)
    pixels = np.zeros((len(images), height, width, 3), np.uint8)
    for row, (image, probability) in enumerate(zip(images, probabilities, strict=True)):
        inside = np.s_[: image.shape[0], : image.shape[1]]
        spliced = np.clip(probability, CLIP, 1 - CLIP)
        unary[row][:, *inside] = -np.log(np.stack([1 - spliced, spliced]))
        pixels[row][inside] = image
    sizes = np.array([map_.shape for map_ in probabilities], np.int32)

    marginals = _inferred(unary, pixels, sizes, parameters)
    return [marginal[:h, :w] for marginal, (h, w) in zip(marginals, sizes, strict=True)]


def bucket(height: int, width: int) -> tuple[int, int]:
    """The size that an image is padded to: sides of at least 8, eight steps from one power of two to the next."""

    def up(side: int) -> int:
        step = 2 ** max(3, math.floor(math.log2(side)) - 3)
        return -(-side // step) * step

    return up(height), up(width)


def _inferred(
    unary: Float32[np.ndarray, "batch 2 height width"],
    pixels: UInt8[np.ndarray, "batch height width 3"],
    sizes: np.ndarray,
    parameters: CrfParameters,
) -> Float32[np.ndarray, "batch height width"]:
    """The marginals of the label spliced, with lattices as large as the images need."""
    capacity, enough = _capacity(unary[0, 0].size, parameters)
    kernels = Kernels(
        parameters.bilateral_weight,
        parameters.bilateral_position_std,
        parameters.bilateral_colour_std,
        parameters.smoothness_weight,
        parameters.smoothness_position_std,
    )
    reach = 16 * math.ceil(_REACH * parameters.smoothness_position_std / 16)
    infer = functools.partial(_compiled, unary, pixels, kernels, sizes, iterations=parameters.iterations, reach=reach)
    while (result := infer(capacity=capacity)).overflow.any():
        if capacity >= enough:
            raise RuntimeError("two vertices of the permutohedral lattice have the same name")
        capacity = min(4 * capacity, enough)
    return np.asarray(result.marginals[:, 1])


def _capacity(pixels: int, parameters: CrfParameters) -> tuple[int, int]:
    """Room for the vertices of most photographs, and for those of any image.

    In photographs, vertices grow as the square root of the volume that a standard deviation shrinks by: measured on
    those of BSDS, 2 to 7 for every 100 pixels at the usual widths (80, 13), 20 to 90 at (30, 5).
    """
    volume = (parameters.bilateral_position_std / 80) ** 2 * (parameters.bilateral_colour_std / 13) ** 3
    most = 6 * pixels + 2
    expected = min(most, pixels / 8 / math.sqrt(volume))
    expected, most = (2 ** math.ceil(math.log2(max(room, _SMALLEST_CAPACITY))) for room in (expected, most))
    return expected, most


@functools.partial(jax.jit, static_argnames=("iterations", "capacity", "reach"))
def _compiled(
    unary: jax.Array,
    pixels: jax.Array,
    kernels: Kernels,
    sizes: jax.Array,
    *,
    iterations: int,
    capacity: int,
    reach: int,
) -> Inference:
    return mean_field(unary, pixels, kernels, iterations=iterations, capacity=capacity, reach=reach, sizes=sizes)
