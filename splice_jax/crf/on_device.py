"""The CRF by JAX: images are padded to few sizes, and lattices are made larger until they suffice."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float32, Int32, UInt8

from splice_jax.crf import CLIP, CrfParameters
from splice_jax.crf.mean_field import Inference, Kernels, mean_field

_REACH = 5
"""Standard deviations at which the kernel in position is cut off: it has fallen to 4e-6."""

_SMALLEST_CAPACITY = 4096

BATCH_SIZE, BATCH_SIZES = 8, {"cpu": 1}
"""See `batch_size`, by JAX's name of the platform."""


def require() -> None:
    """JAX is always installed."""


def refine(
    image: UInt8[np.ndarray, "height width 3"],
    probability: Float32[np.ndarray, "height width"],
    parameters: CrfParameters,
) -> Float32[np.ndarray, "height width"]:
    """The marginal probability of the label spliced after `parameters.iterations` mean-field steps, at full size.

    Takes about 290 bytes per pixel. The first image of a size compiles for seconds; sizes are rounded up, so that few
    differ.
    """
    [refined] = refine_batch([image], [probability], parameters)
    return refined


def refine_batch(
    images: Sequence[UInt8[np.ndarray, "height width 3"]],
    probabilities: Sequence[Float32[np.ndarray, "height width"]],
    parameters: CrfParameters,
    *,
    batch: int | None = None,
) -> list[Float32[np.ndarray, "height width"]]:
    """`refine` for several images, those of one `bucket` together.

    Args:
      images: of any sizes.
      probabilities: their maps.
      parameters: for all.
      batch: images at a time at most, `batch_size()` by default.
    """
    batch = batch or batch_size()
    places: dict[tuple[int, int], list[int]] = {}
    for place, probability in enumerate(probabilities):
        places.setdefault(bucket(*probability.shape), []).append(place)
    found: list[Any] = [None] * len(images)
    for size, alike in places.items():
        while alike:
            count = min(batch, 1 << (len(alike).bit_length() - 1))  # Powers of two: few programs.
            some, alike = alike[:count], alike[count:]
            refined = _refined(
                size, [images[place] for place in some], [probabilities[place] for place in some], parameters
            )
            for place, map_ in zip(some, refined, strict=True):
                found[place] = map_
    return found


def refine_trials(
    image: UInt8[np.ndarray, "height width 3"],
    probabilities: Sequence[Float32[np.ndarray, "height width"]],
    trials: Sequence[CrfParameters],
) -> list[Float32[np.ndarray, "height width"]]:
    """One image refined by weights of each trial, from a map of each; widths and steps are those of the first."""
    if len(trials) == 1:
        return [refine(image, probabilities[0], trials[0])]
    height, width = probabilities[0].shape
    unary, pixels, sizes = _padded(bucket(height, width), [image] * len(trials), probabilities)
    weights = np.array([[trial.bilateral_weight, trial.smoothness_weight] for trial in trials], np.float32)
    infer = functools.partial(_compiled_trials, unary, pixels[0], _kernels(trials[0]), weights, sizes[0])
    return [map_[:height, :width] for map_ in _with_room(infer, unary[0, 0].size, trials[0])]


def batch_size() -> int:
    """Images that are refined at a time: on a CPU one, which is faster there."""
    return BATCH_SIZES.get(jax.default_backend(), BATCH_SIZE)


def bucket(height: int, width: int) -> tuple[int, int]:
    """The size that an image is padded to: sides of at least 8, eight steps from one power of two to the next."""

    def up(side: int) -> int:
        step = 2 ** max(3, math.floor(math.log2(side)) - 3)
        return -(-side // step) * step

    return up(height), up(width)


def _refined(
    size: tuple[int, int],
    images: Sequence[UInt8[np.ndarray, "height width 3"]],
    probabilities: Sequence[Float32[np.ndarray, "height width"]],
    parameters: CrfParameters,
) -> list[Float32[np.ndarray, "height width"]]:
    unary, pixels, sizes = _padded(size, images, probabilities)
    infer = functools.partial(_compiled, unary, pixels, _kernels(parameters), sizes)
    marginals = _with_room(infer, unary[0, 0].size, parameters)
    return [marginal[:h, :w] for marginal, (h, w) in zip(marginals, sizes, strict=True)]


def _padded(
    size: tuple[int, int],
    images: Sequence[UInt8[np.ndarray, "height width 3"]],
    probabilities: Sequence[Float32[np.ndarray, "height width"]],
) -> tuple[Float32[np.ndarray, "n 2 rows columns"], UInt8[np.ndarray, "n rows columns 3"], Int32[np.ndarray, "n 2"]]:
    """Unaries and images at one size, and the sizes they had."""
    unary = np.zeros((len(images), 2, *size), np.float32)
    pixels = np.zeros((len(images), *size, 3), np.uint8)
    for row, (image, probability) in enumerate(zip(images, probabilities, strict=True)):
        inside = np.s_[: image.shape[0], : image.shape[1]]
        spliced = np.clip(probability, CLIP, 1 - CLIP)
        unary[row][:, *inside] = -np.log(np.stack([1 - spliced, spliced]))
        pixels[row][inside] = image
    return unary, pixels, np.array([map_.shape for map_ in probabilities], np.int32)


def _kernels(parameters: CrfParameters) -> Kernels:
    return Kernels(**{name: getattr(parameters, name) for name in Kernels._fields})


def _with_room(
    infer: Callable[..., Inference], pixels: int, parameters: CrfParameters
) -> Float32[np.ndarray, "batch height width"]:
    """The marginals of the label spliced, with lattices as large as the images need."""
    capacity, enough = _capacity(pixels, parameters)
    reach = 16 * math.ceil(_REACH * parameters.smoothness_position_std / 16)
    infer = functools.partial(infer, iterations=parameters.iterations, reach=reach)
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


@functools.partial(jax.jit, static_argnames=("iterations", "capacity", "reach"))
def _compiled_trials(
    unary: jax.Array,
    pixels: jax.Array,
    kernels: Kernels,
    weights: jax.Array,
    size: jax.Array,
    *,
    iterations: int,
    capacity: int,
    reach: int,
) -> Inference:
    """The lattice depends on nothing that is mapped over, so it is built once."""

    def trial(unary: jax.Array, weights: jax.Array) -> Inference:
        own = kernels._replace(bilateral_weight=weights[0], smoothness_weight=weights[1])
        return mean_field(
            unary[None],
            pixels[None],
            own,
            iterations=iterations,
            capacity=capacity,
            reach=reach,
            sizes=size[None],
        )

    return jax.tree.map(lambda found: found[:, 0], jax.vmap(trial)(unary, weights))
