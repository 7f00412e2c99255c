"""Gaussian filtering in many dimensions by the permutohedral lattice (Adams, Baek, Davis 2010), on the device.

Every pixel is a point of d features (position, colour), counted in standard deviations. Space is tiled with simplices
of d + 1 vertices; a pixel gives its value to the vertices of the simplex around it, by barycentric weights (*splat*),
the vertices blur along the lattice's d + 1 directions, and the pixel reads the same vertices again (*slice*). Only
vertices that touch a pixel exist, as in the program of Krähenbühl & Koltun, which this follows in every convention.

Shapes are static: a lattice has room for `capacity` vertices, and says when it needs more. The table that numbers the
vertices is filled by rounds of scatter and gather, not by sorting, which on a CPU takes ten times as long.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int32, UInt32

TABLE_FACTOR = 4
"""Slots of the table per vertex of the capacity: at most a quarter is taken, so that few rounds find all a place."""

MAX_ROUNDS = 24
"""A vertex is refused its slot in every one of so many rounds with odds of 4^-24."""

_MULTIPLIERS = np.random.default_rng(2010).integers(0, 2**31, (2, 16), np.uint32) * np.uint32(2)
"""What coordinates are multiplied by to make the two names of a vertex, which are odd, hence never 0. That both names
of two vertices among a million are the same has odds of 1 in 10 million; that one is, is noticed."""

_Rows = Int32[Array, "dimensions pixels"]
_Names = Sequence[UInt32[Array, "*shape"]]


class Lattice(NamedTuple):
    """The vertices around each pixel, the pixel's share in them, and who is whose neighbour."""

    vertices: Int32[Array, "corners pixels"]
    """Numbers below the capacity, one row for each of the d + 1 corners of a simplex."""
    weights: Float[Array, "corners pixels"]
    """Barycentric, at least 0, they sum to 1 over corners; differentiable in the features."""
    neighbours: Int32[Array, "corners 2 capacity"]
    """Along each direction, back and forth; the last number, a vertex that stays at 0, where there is none."""
    overflow: Bool[Array, ""]
    """The capacity was too small: nothing that is filtered with this lattice means anything."""

    @property
    def capacity(self) -> int:
        """How many vertices there is room for, among them the one that stays at 0."""
        return self.neighbours.shape[-1]


def build(features: Float[Array, "dimensions pixels"], capacity: int) -> Lattice:
    """The lattice of an image.

    Args:
      features: coordinates of the pixels in standard deviations of the filter.
      capacity: room for vertices, a power of two. A photograph at the usual widths has 2 to 10 for every 100 pixels,
        noise up to d + 1 for each.
    """
    if capacity < 2 or capacity & (capacity - 1):
        raise ValueError(f"capacity: {capacity} is no power of two above 1")
    cells, ranks, weights = _simplices(features)
    table = _fill(cells, ranks, TABLE_FACTOR * capacity)
    taken = jnp.cumsum((table.tags > 0).astype(jnp.int32))
    count, absent = taken[-1], capacity - 1
    numbers = jnp.clip(taken - 1, 0, absent)

    before = _back(table, numbers, capacity, len(features))
    here = jnp.broadcast_to(jnp.arange(capacity, dtype=jnp.int32), before.shape)
    directions = jnp.arange(len(weights))[:, None]
    after = jnp.full_like(before, absent).at[directions, before].set(here, mode="promise_in_bounds")
    after = after.at[:, absent].set(absent)
    return Lattice(
        numbers.at[table.slots].get(mode="promise_in_bounds"),
        weights,
        jnp.stack([before, after], axis=1),
        table.failed | (count > absent),
    )


def filtered(lattice: Lattice, values: Float[Array, "channels pixels"]) -> Float[Array, "channels pixels"]:
    """Σ_j k(i, j) · values_j, up to a constant factor, with k near exp(−|f_i − f_j|² / 2), for each channel."""
    return jax.vmap(lambda channel: _filtered(lattice, channel))(values)


def _filtered(lattice: Lattice, values: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
    # Corner by corner: all at once would save a tenth of the time and take 24 bytes more a pixel.
    def splat(mass: Array, corner: tuple[Array, Array]) -> tuple[Array, None]:
        vertices, weights = corner
        return mass.at[vertices].add(weights * values, mode="promise_in_bounds"), None

    mass = jnp.zeros(lattice.capacity, values.dtype)
    mass, _ = lax.scan(splat, mass, (lattice.vertices, lattice.weights))

    # A loop, not six statements: XLA would fuse them, and compute each vertex's value 3^6 times.
    def blur(mass: Array, neighbours: Array) -> tuple[Array, None]:
        back, forth = (mass.at[n].get(mode="promise_in_bounds") for n in neighbours)
        return mass + 0.5 * (back + forth), None

    mass, _ = lax.scan(blur, mass, lattice.neighbours)
    return sum(
        (w * mass.at[v].get(mode="promise_in_bounds") for w, v in zip(lattice.weights, lattice.vertices, strict=True)),
        start=jnp.zeros_like(values),
    )


def _simplices(
    features: Float[Array, "dimensions pixels"],
) -> tuple[Int32[Array, "dimensions pixels"], Int32[Array, "dimensions pixels"], Float[Array, "corners pixels"]]:
    """Cell and rank of the first d coordinates, which say what simplex a point is in, and its barycentric weights.

    Corner k of the simplex has the coordinates (d + 1) · (cell − [rank + k > d]) + k in the hyperplane of d + 1
    coordinates that sum to 0; the last follows from the others.
    """
    dimensions = len(features)
    elevated = _elevated(features) / (dimensions + 1)
    cells = jnp.round(elevated)
    away = elevated - cells
    cells = cells.astype(jnp.int32)
    excess = sum(cells, jnp.int32(0))  # On a CPU, XLA takes ten times as long for `cells.sum(0)`.

    # Place of each coordinate's remainder, from the largest, 0, to the smallest; equal ones in order.
    def rank(i: int) -> Array:
        others = (away[i] < away[j] if i < j else away[i] <= away[j] for j in range(dimensions + 1) if j != i)
        return sum((other.astype(jnp.int32) for other in others), excess)

    ranks = jnp.stack([rank(i) for i in range(dimensions + 1)])
    wrapped = (ranks < 0).astype(jnp.int32) - (ranks > dimensions).astype(jnp.int32)
    ranks, cells = ranks + wrapped * (dimensions + 1), cells + wrapped
    away = elevated - cells
    by_rank = [sum(jnp.where(r == k, a, 0) for r, a in zip(ranks, away, strict=True)) for k in range(dimensions + 1)]
    first = 1 + by_rank[dimensions] - by_rank[0]
    rest = [by_rank[dimensions - k] - by_rank[dimensions + 1 - k] for k in range(1, dimensions + 1)]
    return cells[:dimensions], ranks[:dimensions], jnp.stack([first, *rest])


def _elevated(features: Float[Array, "dimensions pixels"]) -> Float[Array, "corners pixels"]:
    """The points in the hyperplane of the lattice, scaled so that splat, blur and slice have variance 1 together."""
    dimensions = len(features)
    scale = math.sqrt(2 / 3) * (dimensions + 1)
    scaled = [feature * (scale / math.sqrt((i + 1) * (i + 2))) for i, feature in enumerate(features)]
    elevated = []
    behind = jnp.zeros_like(features[0])
    for i in reversed(range(dimensions)):
        elevated.append(behind - (i + 1) * scaled[i])
        behind = behind + scaled[i]
    return jnp.stack([behind, *reversed(elevated)])


class _Table(NamedTuple):
    """Where the vertices are found by name."""

    tags: UInt32[Array, " slots"]
    """The second name of the vertex in each slot, 0 where there is none."""
    names: UInt32[Array, " slots"]
    """The first name."""
    corners: Int32[Array, " slots"]
    """Which corner of its simplices the vertex is."""
    slots: Int32[Array, "corners pixels"]
    """Where the vertices of each pixel are."""
    failed: Bool[Array, ""]
    """Some vertex found no slot, or took another's for its own."""


def _name(cells: _Rows, ranks: _Rows, corner: Array, multipliers: Sequence[Array]) -> UInt32[Array, " pixels"]:
    """A number for the vertex at one corner of every pixel's simplex, affine in its coordinates modulo 2^32."""
    *own, last = multipliers[: len(cells) + 1]
    name = 1 + corner.astype(jnp.uint32) * last
    for cell, rank, multiplier in zip(cells, ranks, own, strict=True):
        name += (cell - (rank + corner > len(cells))).astype(jnp.uint32) * multiplier
    return name


def _slot(names: _Names, attempt: UInt32[Array, ""], slots: int) -> UInt32[Array, "*shape"]:
    """Where a vertex is looked for in each round, by double hashing."""
    return (_mixed(names[0]) + attempt * (_mixed(names[1]) | 1)) & jnp.uint32(slots - 1)


def _mixed(x: UInt32[Array, "*shape"]) -> UInt32[Array, "*shape"]:
    """A permutation of all numbers of 32 bits that scatters those in a row (the end of MurmurHash3, public domain)."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)


def _fill(cells: _Rows, ranks: _Rows, slots: int) -> _Table:
    """Every vertex gets a slot of its own, all pixels' first corners first.

    In each round the vertices without a slot claim the one that is theirs in that round, if free; the highest tag gets
    it. Corners come one by one, since they share no vertices, and six times less is held at a time. A table with more
    vertices than it is made for is given up.
    """

    def place(
        table: tuple[Array, Array, Array, Array], corner: Array
    ) -> tuple[tuple[Array, Array, Array, Array], Array]:
        tags, names, corners, failed = table
        one, other = (_name(cells, ranks, corner, [jnp.uint32(m) for m in row]) for row in _MULTIPLIERS)

        def unfinished(state: tuple[Array, Array, Array, Array]) -> Array:
            attempt, now, _, waiting = state
            return waiting & (attempt < MAX_ROUNDS) & (jnp.count_nonzero(now) < slots // TABLE_FACTOR)

        def claim(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
            attempt, now, placed, _ = state
            here = _slot((one, other), attempt, slots)
            wanted = jnp.where((placed < 0) & (now.at[here].get(mode="promise_in_bounds") == 0), other, 0)
            now = now.at[here].max(wanted, mode="promise_in_bounds")
            won = (placed < 0) & (now.at[here].get(mode="promise_in_bounds") == other)
            placed = jnp.where(won, here.astype(jnp.int32), placed)
            return attempt + 1, now, placed, jnp.any(placed < 0)

        start = jnp.uint32(0), tags, jnp.full(one.shape, -1, jnp.int32), jnp.array(True)
        _, filled, placed, waiting = lax.while_loop(unfinished, claim, start)
        corners = jnp.where((filled > 0) & (tags == 0), corner, corners)
        placed = jnp.maximum(placed, 0)
        names = names.at[placed].max(one, mode="promise_in_bounds")
        confounded = jnp.any(names.at[placed].get(mode="promise_in_bounds") != one)
        return (filled, names, corners, failed | waiting | confounded), placed

    empty = jnp.zeros(slots, jnp.uint32)
    start = empty, empty, jnp.zeros(slots, jnp.int32), jnp.array(False)
    (tags, names, corners, failed), placed = lax.scan(place, start, jnp.arange(len(cells) + 1, dtype=jnp.int32))
    return _Table(tags, names, corners, placed, failed)


def _back(
    table: _Table, numbers: Int32[Array, " slots"], capacity: int, dimensions: int
) -> Int32[Array, "corners capacity"]:
    """The number of the vertex one step back in each direction, the last number where there is none.

    A step takes 1 off every coordinate and adds d + 1 to the direction's own: from corner k to corner k - 1 of the same
    cell, from corner 0 to corner d of the cell before, and one cell on in the direction. The coordinate that is in no
    name has a direction too.
    """
    slots = len(numbers)
    where = (
        jnp.zeros(capacity, jnp.int32)
        .at[numbers]
        .max(jnp.where(table.tags > 0, jnp.arange(slots, dtype=jnp.int32), 0), mode="promise_in_bounds")
    )
    corner = table.corners[where]

    def step(name: Array, multipliers: Sequence[Array]) -> Array:
        *own, last = multipliers[: dimensions + 1]
        back = jnp.where(corner == 0, jnp.uint32(dimensions) * last - sum(own), -last)
        return jnp.stack([name + back + m for m in (*own, jnp.uint32(0))])

    names = [
        step(name, [jnp.uint32(m) for m in row])
        for name, row in zip((table.names[where], table.tags[where]), _MULTIPLIERS, strict=True)
    ]

    def unfinished(state: tuple[Array, Array, Array]) -> Array:
        attempt, looking, _ = state
        return jnp.any(looking) & (attempt < MAX_ROUNDS)

    def look(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        attempt, looking, found = state
        here = _slot(names, attempt, slots)
        seen = table.tags.at[here].get(mode="promise_in_bounds")
        hit = looking & (seen == names[1]) & (table.names.at[here].get(mode="promise_in_bounds") == names[0])
        return attempt + 1, looking & ~hit & (seen > 0), jnp.where(hit, numbers[here], found)

    used = jnp.arange(capacity) <= numbers[-1]
    looking = jnp.broadcast_to(used, names[0].shape)
    start = jnp.uint32(0), looking, jnp.full(looking.shape, capacity - 1, jnp.int32)
    return lax.while_loop(unfinished, look, start)[2]
