"""Traces of regular lattices: the colour filter array's 2x2 sites, pairs of enlarged pixels, and JPEG's 8x8 grid."""

import jax.numpy as jnp
from jaxtyping import Array, Float32

from splice_jax.models.traces.planes import BLOCK, FLOOR, Blocks, Plane, around, in_strips, shifted


def filter_sites(green: Plane, inside: Blocks) -> Float32[Array, "rows columns 5"]:
    """Log Laplacian magnitude on each of the four sites of a 2x2 cell, relative to their mean, over 5x5 blocks; and the
    absolute log ratio of the two diagonals.

    Interpolated pixels are smoother than sampled ones (P. Ferrara et al., IEEE TIFS 7, 2012).
    """
    sites = around(in_strips(_of_sites, green), inside, 5)
    relative = jnp.log(sites + FLOOR) - jnp.log(sites.mean(-1, keepdims=True) + FLOOR)
    diagonals = jnp.log(sites[..., 0] + sites[..., 3] + FLOOR) - jnp.log(sites[..., 1] + sites[..., 2] + FLOOR)
    return jnp.concatenate([relative, jnp.abs(diagonals)[..., None]], -1)


def _of_sites(green: Plane) -> Float32[Array, "rows columns 4"]:
    neighbours = sum(shifted(green, *step) for step in ((0, 1), (0, -1), (1, 0), (-1, 0)))
    laplacian = jnp.abs(4 * green - neighbours)
    rows, columns = (side // BLOCK for side in green.shape)
    cells = laplacian.reshape(rows, BLOCK // 2, 2, columns, BLOCK // 2, 2).mean((1, 4))
    return cells.transpose(0, 2, 1, 3).reshape(rows, columns, 4)


def pairs(halves: Float32[Array, "rows columns 8"], inside: Blocks) -> Float32[Array, "rows columns 4"]:
    """Log ratio of the magnitudes of differences that begin at even and at odd pixels, over 5x5 blocks: of first and of
    third differences, down and then across.

    A plane that was enlarged to twice its size, as chroma is after 4:2:0, changes less within a pair of pixels than
    from one pair to the next. Interpolation has its period in the differences (A. Gallagher, CRV 2005).

    Args:
        halves: as `of_halves` gives them.
        inside: 1 for the picture's own blocks.
    """
    halves = around(halves, inside, 5)
    return jnp.log(halves[..., ::2] + FLOOR) - jnp.log(halves[..., 1::2] + FLOOR)


def of_halves(plane: Plane) -> Float32[Array, "rows columns 8"]:
    """Of each difference, mean magnitudes of those that begin at even and at odd pixels, per block."""
    rows, columns = (side // BLOCK for side in plane.shape)
    found = []
    for axis, (down, across) in enumerate(((1, 0), (0, 1))):
        first, second, third = (shifted(plane, step * down, step * across) for step in (1, 2, 3))
        for difference in (first - plane, third - 3 * second + 3 * first - plane):
            cells = jnp.abs(difference).reshape(rows, BLOCK, columns, BLOCK).mean(3 if axis == 0 else 1)
            cells = cells.swapaxes(1, 2) if axis == 0 else cells
            found += [cells[..., ::2].mean(-1), cells[..., 1::2].mean(-1)]
    return jnp.stack(found, -1)


def grid_phases(luma: Plane, inside: Blocks) -> Float32[Array, "rows columns 16"]:
    """Log magnitude of second differences at each of the grid's 8 phases, down and across, relative to their mean, over
    5x5 blocks.

    Blocks of a JPEG break there (W. Li, Y. Yuan and N. Yu, Signal Processing 89, 2009); a moved grid breaks elsewhere.
    """
    found = []
    for means in in_strips(_of_phases, luma):
        phases = around(means, inside, 5)
        found.append(jnp.log(phases + FLOOR) - jnp.log(phases.mean(-1, keepdims=True) + FLOOR))
    return jnp.concatenate(found, -1)


def _of_phases(luma: Plane) -> list[Float32[Array, "rows columns 8"]]:
    """Down, and across."""
    rows, columns = (side // BLOCK for side in luma.shape)
    found = []
    for axis, step in enumerate(((1, 0), (0, 1))):
        second = jnp.abs(shifted(luma, *step) - 2 * luma + shifted(luma, -step[0], -step[1]))
        cells = second.reshape(rows, BLOCK, columns, BLOCK)
        found.append(cells.mean(3).swapaxes(1, 2) if axis == 0 else cells.mean(1))
    return found
