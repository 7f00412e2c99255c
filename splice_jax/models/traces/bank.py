"""The trace bank: what every 8x8 block of a photograph shows of its making, as numbers.

`measure` gives all traces of a picture; `TRACES` names them, family by family, with their number, the values that they
have in photographs, and the functions that say where they come from. `standardised` compares each block with the
picture's own median: the paper's comparison of a part with the whole, with traces in the place of a thumbnail.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, UInt8

from splice_jax.jpeg import ZIGZAG
from splice_jax.models.traces import frequencies, lattices, recompression, residuals
from splice_jax.models.traces.planes import FLOOR, Blocks, around, block_means, in_strips

CLIP = 6.0
"""Standardised traces are cut off at this many spreads."""
LEAST_SPREAD = 0.15
"""Added to a picture's own spread: differences below it are no evidence."""
MOST_SAMPLES = 4096
"""Blocks at most from which a picture's median and spread are taken, evenly spread over it."""
_SATURATED = (1, 254)
_HALVINGS = 24
_EVIDENCE = {
    "own": (frequencies.OWN_LEVELS, 5, frequencies.GROUPS),
    "unit": (frequencies.UNIT_LEVELS, 13, frequencies.GROUPS),
    "blue": (frequencies.OWN_LEVELS, 5, frequencies.CHROMA_GROUPS),
    "red": (frequencies.OWN_LEVELS, 5, frequencies.CHROMA_GROUPS),
}
"""How evidence is measured: largest level, window, groups of places; luma with the file's steps and with steps of 1."""


class Traces(NamedTuple):
    """Traces that one function measures."""

    name: str
    number: int
    centre: tuple[float, ...]
    """Typical value, of the first and the last; those between are interpolated."""
    spread: tuple[float, ...]
    """Typical standard deviation, likewise."""
    meaning: str


TRACES = (
    Traces("energy", 16, (2.9, -0.9), (1.3, 1.4), "`frequencies.energies` of luma, groups of 4"),
    Traces("wholeness", 6, (0.71,), (0.11,), "`frequencies.wholeness`"),
    Traces("residual", 3, (1.05,), (1.25,), "`residuals.magnitude` of red, green and blue"),
    Traces("median", 1, (0.5,), (1.5,), "`residuals.median_magnitude` of luma"),
    Traces("least", 1, (0.6,), (1.3,), "`residuals.least_magnitude` of green"),
    Traces("correlation", 6, (0.2, -0.1), (0.36,), "`residuals.autocorrelation` of green"),
    Traces("peak", 1, (1.2,), (0.45,), "`residuals.peakedness` of green"),
    Traces("tie", 1, (-1.4,), (1.2,), "`residuals.colour_tie` of red and green"),
    Traces("coarse", 1, (1.3,), (1.25,), "`residuals.magnitude` of green at half the resolution"),
    Traces("coarse_correlation", 3, (0.2, -0.15), (0.55,), "`residuals.autocorrelation` at half the resolution"),
    Traces("colour_correlation", 4, (0.17,), (0.3,), "`residuals.autocorrelation` of blue minus green"),
    Traces("sites", 5, (0.0, 0.05), (0.08, 0.12), "`lattices.filter_sites`"),
    Traces("grid", 16, (0.0,), (0.25,), "`lattices.grid_phases`"),
    Traces("recompression", 5, (1.0, -1.2), (0.9, 1.25), "`recompression.errors`"),
    Traces("blue_chroma", 4, (0.2, -1.7), (1.3,), "`frequencies.energies` of Cb, groups of 16"),
    Traces("red_chroma", 4, (0.2, -1.7), (1.3,), "`frequencies.energies` of Cr, groups of 16"),
    Traces("own_evidence", 5, (0.05, -0.1), (0.3, 0.45), "`frequencies.grouped_evidence` with the file's steps"),
    Traces("unit_evidence", 5, (0.57,), (0.5, 0.65), "`frequencies.grouped_evidence` with steps of 1"),
    Traces("blue_evidence", 3, (0.0,), (0.4,), "`frequencies.grouped_evidence` of Cb with the file's steps"),
    Traces("red_evidence", 3, (0.0,), (0.4,), "`frequencies.grouped_evidence` of Cr with the file's steps"),
    Traces("total_evidence", 3, (-0.6,), (1.8,), "`frequencies.total_evidence` of luma, of chroma and of both"),
    Traces("blue_pairs", 4, (0.0,), (0.4,), "`lattices.pairs` of Cb"),
    Traces("red_pairs", 4, (0.0,), (0.4,), "`lattices.pairs` of Cr"),
    Traces("single_evidence", 12, (0.0,), (0.4,), "`frequencies.evidence` with the file's steps, per frequency"),
    Traces("steps", 1, (1.9,), (0.8,), "log sum of three of the file's quantization steps"),
    Traces("content", 4, (-0.15, 0.05), (0.55, 0.3), "luma, range of colours, log contrast, saturated share"),
)
"""All families, in the order of the traces."""

COUNT = sum(family.number for family in TRACES)


def _stretched(ends: tuple[float, ...], count: int) -> np.ndarray:
    return np.linspace(ends[0], ends[-1], count)


CENTRE = np.concatenate([_stretched(family.centre, family.number) for family in TRACES]).astype(np.float32)
SPREAD = np.concatenate([_stretched(family.spread, family.number) for family in TRACES]).astype(np.float32)


def measure(
    image: UInt8[Array, "height width 3"],
    planes: Float32[Array, "height width 3"],
    tables: Float32[Array, "2 8 8"],
    size: Array,
) -> Float32[Array, "rows columns traces"]:
    """All traces of one picture; sides are multiples of 8, one value stands for a block of 8x8 pixels.

    Args:
        image: RGB, padded below and to the right in any way.
        planes: luma and chroma as the file stores them, or of the pixels, 0 … 255; see `reading.Reading`.
        tables: the quantization steps of luma and of chroma, [vertical, horizontal] frequency; ones for none.
        size: the picture's own rows and columns of blocks; the rest is padding, and no trace inside looks at it but for
            the pixels right at the border.
    """
    rows, columns = (side // 8 for side in image.shape[:2])
    inside = ((jnp.arange(rows)[:, None] < size[0]) & (jnp.arange(columns) < size[1])).astype(jnp.float32)
    luma = planes[..., 0]
    found = {
        **_of_frequencies(planes, tables, inside),
        **_of_chroma(image, inside),
        **in_strips(_of_neighbours, image, luma),
        "sites": lattices.filter_sites(image[..., 1].astype(jnp.float32), inside),
        "grid": lattices.grid_phases(luma, inside),
    }
    parts = [jnp.broadcast_to(found[family.name], (rows, columns, family.number)) for family in TRACES]
    return jnp.concatenate(parts, -1) * inside[..., None]


def own_scale(
    traces: Float32[Array, "rows columns traces"], size: Array
) -> tuple[Float32[Array, " traces"], Float32[Array, " traces"]]:
    """A picture's own lower median of each trace, and 1.4826 times the median distance from it.

    Of at most `MOST_SAMPLES` blocks, evenly spread.
    """
    rows, columns, count = traces.shape
    every = max(1, int(np.ceil(np.sqrt(rows * columns / MOST_SAMPLES))))
    sample = traces[::every, ::every]
    inside = (jnp.arange(0, rows, every)[:, None] < size[0]) & (jnp.arange(0, columns, every) < size[1])
    flat, known = sample.reshape(-1, count).T, inside.ravel()
    median = _median(flat, known)
    return median, 1.4826 * _median(jnp.abs(flat - median[:, None]), known)


def standardised(
    traces: Float32[Array, "*place traces"], median: Float32[Array, " traces"], spread: Float32[Array, " traces"]
) -> Float32[Array, "*place 2*traces"]:
    """Every trace twice: relative to the picture's own median and spread, and to what photographs have; in ±`CLIP`."""
    relative = (traces - median) / (spread + LEAST_SPREAD * SPREAD)
    absolute = (traces - CENTRE) / SPREAD
    return jnp.clip(jnp.concatenate([relative, absolute], -1), -CLIP, CLIP)


def _median(values: Float32[Array, "traces n"], known: Array) -> Float32[Array, " traces"]:
    """The lower median over the known values, of which there is at least one.

    Found by halving the range between the extremes: on a CPU, XLA takes ten times as long to sort.
    """
    half = (known.sum() + 1) // 2
    low = jnp.where(known, values, jnp.inf).min(1)
    high = jnp.where(known, values, -jnp.inf).max(1)

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = (low + high) / 2
        enough = ((values <= middle[:, None]) & known).sum(1) >= half
        return jnp.where(enough, low, middle), jnp.where(enough, middle, high)

    return jax.lax.fori_loop(0, _HALVINGS, halve, (low, high))[1]


def _of_frequencies(planes: Array, tables: Array, inside: Blocks) -> dict[str, Array]:
    """Of the coefficients that the file stores."""
    local = in_strips(lambda strip: _of_stored_strip(strip, tables), planes)
    own, unit, blue, red = (
        frequencies.summed_evidence(local[name], inside, *arguments) for name, arguments in _EVIDENCE.items()
    )
    together = ((own,), (blue, red), (own, blue, red))
    low = local["own"][..., frequencies.SINGLE]
    return {
        "energy": frequencies.energies(local["luma"], inside),
        "wholeness": around(local["wholeness"], inside, 3),
        "own_evidence": frequencies.grouped_evidence(own, inside),
        "unit_evidence": frequencies.grouped_evidence(unit, inside),
        "blue_evidence": frequencies.grouped_evidence(blue, inside),
        "red_evidence": frequencies.grouped_evidence(red, inside),
        "total_evidence": jnp.concatenate([frequencies.total_evidence(each, inside) for each in together], -1),
        "single_evidence": frequencies.evidence(low, inside, *_EVIDENCE["own"][:2]),
        "steps": jnp.log(tables[0, 0, 1] + tables[0, 1, 0] + tables[0, 1, 1])[None],
    }


def _of_stored_strip(planes: Array, tables: Array) -> dict[str, Array]:
    """What the file's coefficients give block by block."""
    luma, blue, red = (frequencies.coefficients(planes[..., channel]) for channel in range(3))
    quantised = {
        "own": luma / _in_zigzag(tables[0]),
        "unit": luma,
        "blue": blue / _in_zigzag(tables[1]),
        "red": red / _in_zigzag(tables[1]),
    }
    return {
        "luma": frequencies.magnitudes(luma, 4),
        "wholeness": frequencies.wholeness(luma),
        **{name: frequencies.levels(each, _EVIDENCE[name][0]) for name, each in quantised.items()},
    }


def _in_zigzag(table: Array) -> Array:
    rows, columns = np.array(ZIGZAG).T
    return table[rows, columns]


def _of_chroma(image: Array, inside: Blocks) -> dict[str, Array]:
    """Of the chroma that the pixels have."""
    found = {}
    for name, (grouped, halves) in zip(("blue", "red"), in_strips(_of_chroma_strip, image), strict=True):
        found[f"{name}_chroma"] = frequencies.energies(grouped, inside)
        found[f"{name}_pairs"] = lattices.pairs(halves, inside)
    return found


def _of_chroma_strip(image: Array) -> list[tuple[Array, Array]]:
    planes = recompression.ycc(image.astype(jnp.float32))[1:]
    return [
        (frequencies.magnitudes(frequencies.coefficients(plane), 16), lattices.of_halves(plane)) for plane in planes
    ]


def _of_neighbours(image: Array, luma: Array) -> dict[str, Array]:
    """Traces that depend on a block's own pixels and those right beside it."""
    pixels = image.astype(jnp.float32)
    return {
        **_of_residuals(pixels, luma),
        "recompression": recompression.errors(image),
        "content": _content(pixels, luma),
    }


def _of_residuals(pixels: Array, luma: Array) -> dict[str, Array]:
    red, green, blue = (residuals.residual(pixels[..., channel]) for channel in range(3))
    coarse = residuals.residual(residuals.halved(pixels[..., 1]))
    return {
        "residual": jnp.stack([residuals.magnitude(each) for each in (red, green, blue)], -1),
        "median": residuals.median_magnitude(luma)[..., None],
        "least": residuals.least_magnitude(green)[..., None],
        "correlation": residuals.autocorrelation(green, residuals.LAGS),
        "peak": residuals.peakedness(green)[..., None],
        "tie": residuals.colour_tie(red, green)[..., None],
        "coarse": jnp.log(block_means(jnp.abs(coarse), 4) + FLOOR)[..., None],
        "coarse_correlation": residuals.autocorrelation(coarse, residuals.SHORT_LAGS, 4),
        "colour_correlation": residuals.autocorrelation(blue - green, residuals.COLOUR_LAGS),
    }


def _content(pixels: Array, luma: Array) -> Array:
    """What is shown rather than how it was made, so that one can be told from the other."""
    highest, lowest = pixels.max(-1), pixels.min(-1)
    variance = jnp.maximum(block_means(luma**2) - block_means(luma) ** 2, 0)
    saturated = (highest >= _SATURATED[1]) | (lowest <= _SATURATED[0])
    parts = [
        block_means(luma) / 128 - 1,
        block_means(highest - lowest) / 64 - 1,
        (jnp.log(jnp.sqrt(variance) + FLOOR) - 2) / 2,
        block_means(saturated.astype(jnp.float32)),
    ]
    return jnp.stack(parts, -1)
