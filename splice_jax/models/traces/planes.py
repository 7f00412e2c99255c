"""What traces are made with: pixels gathered into blocks, means of neighbouring blocks, differences of planes.

Planes are float32 [height, width] with sides that are multiples of 8, block values float32 [rows, columns]. A picture
may be padded to a common size: `inside` says which blocks are its own, and no mean looks at others.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float32, Shaped

BLOCK = 8
FLOOR = 0.01
"""Added to magnitudes in levels before their logarithm is taken."""

STRIP = 72
"""Rows of blocks that local traces of large pictures are measured in at a time."""

Plane = Float32[Array, "height width"]
Blocks = Float32[Array, "rows columns"]
Pixels = TypeVar("Pixels", Array, np.ndarray)


def block_means(plane: Plane, side: int = BLOCK) -> Blocks:
    """The mean of each block of `side` x `side` pixels."""
    height, width = plane.shape
    return plane.reshape(height // side, side, width // side, side).mean((1, 3))


def cut_blocks(plane: Pixels) -> Pixels:
    """The pixels of each 8x8 block of a plane [height, width], row after row: [rows, columns, 64]."""
    height, width = plane.shape
    cut = plane.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).swapaxes(1, 2)
    return cut.reshape(height // BLOCK, width // BLOCK, BLOCK * BLOCK)


def around(
    values: Float[Array, "rows columns *channels"], inside: Blocks, size: int
) -> Float32[Array, "rows columns *channels"]:
    """The mean over the `size` x `size` blocks around each, of those that lie in the picture; 0 where none does.

    Args:
        values: per block.
        inside: 1 for the picture's own blocks, 0 for padding.
        size: odd.
    """
    weight = inside.reshape(*inside.shape, *[1] * (values.ndim - 2))
    return _sum_around(values * weight, size) / jnp.maximum(_sum_around(weight, size), 1)


def in_strips(measure: Callable[..., Any], *pictures: Shaped[Array, "height width *channels"]) -> Any:
    """`measure(*pictures)`, a strip of a large picture after the other, so that it needs the memory of one.

    Pictures of `2 * STRIP` rows of blocks or fewer, and those that strips do not divide, are measured at once.

    Args:
        measure: gives arrays [rows, columns, *], one value per block, none of which depends on pixels further away than
            a block.
        pictures: of one size.
    """
    rows = pictures[0].shape[0] // BLOCK
    if rows <= 2 * STRIP or rows % STRIP:
        return measure(*pictures)

    def strip(top: Array) -> Any:
        start = jnp.clip(top - 1, 0, rows - STRIP - 2)  # With a row of blocks more above and below.
        parts = [lax.dynamic_slice_in_dim(each, start * BLOCK, (STRIP + 2) * BLOCK) for each in pictures]
        return jax.tree.map(lambda found: lax.dynamic_slice_in_dim(found, top - start, STRIP), measure(*parts))

    found = lax.map(strip, jnp.arange(0, rows, STRIP))
    return jax.tree.map(lambda strips: strips.reshape(rows, *strips.shape[2:]), found)


def shifted(plane: Array, down: int, right: int) -> Array:
    """The plane whose value at (y, x) is this one's at (y + down, x + right); border values are repeated."""
    return lax.slice_in_dim(
        lax.slice_in_dim(_pad_edge(plane, max(abs(down), abs(right))), *_window(plane.shape[0], down, right), axis=0),
        *_window(plane.shape[1], right, down),
        axis=1,
    )


def mean_of_nine(plane: Plane) -> Plane:
    """The mean of 3x3 pixels; border pixels are repeated."""
    padded = jnp.pad(plane, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9


def median_of_nine(plane: Plane) -> Plane:
    """The median of 3x3 pixels, by a network of comparisons (Smith, 1996); border pixels are repeated."""
    padded = jnp.pad(plane, 1, mode="edge")
    height, width = plane.shape
    value = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3)]
    for low, high in _MEDIAN_NETWORK:
        value[low], value[high] = jnp.minimum(value[low], value[high]), jnp.maximum(value[low], value[high])
    return value[4]


_MEDIAN_NETWORK = (
    (1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 3),
    (5, 8), (4, 7), (3, 6), (1, 4), (2, 5), (4, 7), (4, 2), (6, 4), (4, 2),
)  # fmt: skip


def _sum_around(values: Array, size: int) -> Array:
    reach = size // 2
    for axis in (0, 1):
        padded = jnp.pad(values, [(reach, reach) if axis == each else (0, 0) for each in range(values.ndim)])
        parts = [lax.slice_in_dim(padded, i, i + values.shape[axis], axis=axis) for i in range(size)]
        values = functools.reduce(operator.add, parts)
    return values


def _pad_edge(plane: Array, reach: int) -> Array:
    return jnp.pad(plane, [(reach, reach), (reach, reach), *[(0, 0)] * (plane.ndim - 2)], mode="edge")


def _window(length: int, step: int, other: int) -> tuple[int, int]:
    start = max(abs(step), abs(other)) + step
    return start, start + length
