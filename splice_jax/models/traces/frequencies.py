"""Traces in the frequencies of 8x8 blocks: energies, and what earlier quantization left in the coefficients."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int8

from splice_jax.jpeg import BLOCK, ZIGZAG
from splice_jax.models.traces.planes import FLOOR, Blocks, Plane, around, cut_blocks

LOW = (1, 2, 3, 4, 6, 10)
"""Places in zigzag order of the coefficients that are looked at one by one."""
OWN_LEVELS, UNIT_LEVELS = 60, 120
"""Largest quantised coefficient whose occurrence is counted, with the file's own steps and with steps of 1."""
GROUPS = ((1, 6), (6, 12), (12, 22), (22, 36), (36, 64))
"""Ranges of zigzag places whose evidence is taken together. The high ones tell most where steps are small."""
CHROMA_GROUPS = ((1, 6), (6, 12), (12, 36))
"""Likewise of chroma, which has little at high frequencies."""
SINGLE = tuple(range(1, 13))
"""Zigzag places whose evidence stands alone."""
_LIMIT = 3.0

Coefficients = Float32[Array, "rows columns 64"]
"""Orthonormal DCT coefficients in zigzag order, the DC first."""
Levels = Int8[Array, "rows columns places"]
"""Rounded multiples of quantization steps."""


def _basis() -> np.ndarray:
    """Rows are the orthonormal cosine patterns of 8x8 pixels, in zigzag order."""
    place = np.arange(BLOCK)
    waves = np.cos((2 * place[None] + 1) * place[:, None] * np.pi / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    waves[0] /= np.sqrt(2)
    return np.stack([np.outer(waves[u], waves[v]).ravel() for u, v in ZIGZAG]).astype(np.float32)


BASIS = _basis()


def coefficients(plane: Plane) -> Coefficients:
    """The DCT of each block, level 128 as zero."""
    return (cut_blocks(plane) - 128) @ BASIS.T


def magnitudes(found: Coefficients, size: int) -> Float32[Array, "rows columns groups"]:
    """The mean magnitude of groups of `size` AC coefficients in zigzag order, per block, in levels."""
    magnitude = jnp.abs(found[..., 1:])
    missing = -magnitude.shape[-1] % size
    grouped = jnp.pad(magnitude, ((0, 0), (0, 0), (0, missing))).reshape(*magnitude.shape[:2], -1, size)
    counts = np.full(grouped.shape[2], size, np.float32)
    counts[-1] -= missing
    return grouped.sum(-1) / counts


def energies(grouped: Float32[Array, "rows columns groups"], inside: Blocks) -> Float32[Array, "rows columns groups"]:
    """Log of `magnitudes` over 3x3 blocks.

    S. Ye, Q. Sun and E.-C. Chang, ICME 2007, judge blocks by their coefficients' statistics.
    """
    return jnp.log(around(grouped, inside, 3) + FLOOR)


def wholeness(found: Coefficients) -> Float32[Array, "rows columns 6"]:
    """Of six low coefficients c, abs(cos(π c)) per block: near 1 where they are whole numbers.

    Whole multiples of a quantization step are whole numbers (Z. Lin et al., Pattern Recognition 42, 2009). In [0, 1].
    """
    return jnp.abs(jnp.cos(np.pi * found[..., LOW]))


def levels(quantised: Float32[Array, "rows columns places"], most: int) -> Levels:
    """Coefficients in units of their steps, rounded; those beyond ±`most`, of 127 at most, stand at its ends."""
    return jnp.clip(jnp.rint(quantised), -most, most).astype(jnp.int8)


def evidence(values: Levels, inside: Blocks, most: int, window: int) -> Float32[Array, "rows columns places"]:
    """How much more often than its neighbours each coefficient's value occurs in the picture, as a log ratio.

    Doubly quantised coefficients occupy some values more often than the ones between them; a pasted block's values fall
    anywhere (Z. Lin et al., Pattern Recognition 42, 2009; without its estimate of the period).

    Args:
        values: as `levels` gives them, at any places.
        inside: 1 for the picture's own blocks.
        most: as for `levels`; values of this magnitude say nothing.
        window: half width in values, plus one, of the triangle by which the histogram is smoothed.

    Returns:
        for each place, in ±3; 0 for zeros and values out of range.
    """
    kernel = np.convolve(np.ones(window), np.ones(window)).astype(np.float32)
    kernel /= kernel.sum()
    mute = np.zeros(2 * most + 1, np.float32)
    mute[[0, most, -1]] = 1

    def of_place(value: Array) -> Array:
        counts = jnp.zeros(2 * most + 1).at[value].add(inside.ravel()).at[np.array([0, 2 * most])].set(0)
        smooth = jnp.convolve(counts, kernel, mode="same", precision="highest")
        ratio = jnp.clip(jnp.log((counts + 1) / (smooth + 1)), -_LIMIT, _LIMIT) * (1 - mute)
        return ratio[value]

    flat = values.reshape(-1, values.shape[-1]).T.astype(jnp.int32) + most
    return jax.vmap(of_place)(flat).T.reshape(values.shape) * inside[..., None]


class Sums(NamedTuple):
    """Of `evidence`, over the places of each group, per block."""

    total: Float32[Array, "rows columns groups"]
    speaking: Float32[Array, "rows columns groups"]
    """How many values say something."""


def summed_evidence(
    values: Levels, inside: Blocks, most: int, window: int, groups: tuple[tuple[int, int], ...]
) -> Sums:
    """The sums of `evidence` over groups of places, one place after the other, so that it needs the memory of one."""
    first, last = groups[0][0], groups[-1][1]
    places = range(first, last)
    member = jnp.asarray([[begin <= place < end for begin, end in groups] for place in places], jnp.float32)

    def add(sums: Sums, place: tuple[Array, Array]) -> tuple[Sums, None]:
        value, weights = place
        single = evidence(value[..., None], inside, most, window)
        return Sums(sums.total + single * weights, sums.speaking + (single != 0) * weights), None

    nothing = jnp.zeros((*inside.shape, len(groups)))
    found, _ = jax.lax.scan(add, Sums(nothing, nothing), (jnp.moveaxis(values[..., first:last], -1, 0), member))
    return found


def grouped_evidence(sums: Sums, inside: Blocks) -> Float32[Array, "rows columns groups"]:
    """The mean of `evidence` over each group of places and 3x3 blocks, where it says something. In ±3."""
    return around(sums.total, inside, 3) / (around(sums.speaking, inside, 3) + 0.05)


def total_evidence(planes: Sequence[Sums], inside: Blocks) -> Float32[Array, "rows columns 1"]:
    """The sum of `evidence` over all groups of all planes and 3x3 blocks, over the root of how many say something.

    The log ratios add up as those of independent observations do.
    """
    total, speaking = (around(sum(each.sum(-1) for each in parts), inside, 3) for parts in zip(*planes, strict=True))
    return (total / jnp.sqrt(speaking + 0.3))[..., None]
