"""The method that detects a JPEG compressed twice on two different JPEG grids: `nadq`.

Something cut from a JPEG and pasted off the host's JPEG grid keeps the trace of its first quantisation: on its own
JPEG grid, its coefficients cluster around multiples of the first steps.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8
from scipy import fft, ndimage

from splice_jax.jpeg import BLOCK, STANDARD_TABLE, ZIGZAG, Luma
from splice_jax.methods.registry import register
from splice_jax.methods.traces.coefficients import CoefficientLocalizer
from splice_jax.methods.traces.trace import spread

FREQUENCIES = ZIGZAG[:6]

REACH = 1100
"""Coefficients are counted from −`REACH` to `REACH`; the largest is 1024."""

ROUNDING = 0.4
"""Standard deviation, in levels, of a DCT coefficient's error from rounding pixels."""

PRIOR_BLUR = 2.0
"""Standard deviation of the Gaussian that smooths the scatter of a histogram's counts."""

SHARES = np.array([0.02, 0.05, 0.1, 0.2, 0.35, 0.55, 0.8])
"""Candidate shares of blocks on another JPEG grid; the likeliest is used."""

LEAST_GAIN, LEAST_LEAD = 35.0, 1.4
"""How much a JPEG grid must raise the log likelihood to be accepted, and by what factor it must beat all others.
Of 80 photographs without the trace, those with a lead above 1.4 gained up to 30."""

LEAST_EXCESS = 2.5
"""A coefficient is used if its gain on that grid exceeds the mean over the others by this many deviations."""


class Mixture(NamedTuple):
    """How well a first quantisation of some blocks explains one coefficient, for each of the 64 JPEG grids."""

    gain: Float[np.ndarray, " grids"]
    """Gain in log likelihood over no first quantisation, for the likeliest step and share."""

    step: Int[np.ndarray, " grids"]
    """Index of that step."""

    log_ratio: Float[np.ndarray, "steps values"]
    """log P(value | quantised first) / P(value | not), from −`REACH` to `REACH`, per step."""


@register("nadq", version=3)
class ShiftedGrid(CoefficientLocalizer):
    """The likelihood ratio, block by block, of a first compression on another JPEG grid than the file's to none.

    T. Bianchi and A. Piva, "Image Forgery Localization via Block-Grained Analysis of JPEG Artifacts", IEEE Transactions
    on Information Forensics and Security 7(3), 2012. Of the 63 other JPEG grids, the one is chosen on which quantising
    some of the blocks raises the likelihood most, over all `FREQUENCIES`; the paper uses DC alone. The histograms
    without a first compression are estimated from all JPEG grids together.
    """

    name = "nadq"
    looks_for = (
        "Signs of an earlier JPEG compression on another grid of blocks: parts that bring such a grid along count "
        "as pasted in."
    )
    flat = "no other JPEG grid stands out"
    cell = 1
    smallest = 3 * BLOCK

    def stored_response(self, luma: Luma) -> Float32[np.ndarray, "height width"]:
        """Log likelihood ratio, averaged over 3x3 blocks; 0 everywhere if no such JPEG grid is found."""
        everywhere = [sliding_coefficient(luma.plane, place) for place in FREQUENCIES]
        mixtures = [
            mixture(values, int(luma.table[place]), int(STANDARD_TABLE[place]))
            for values, place in zip(everywhere, FREQUENCIES, strict=True)
        ]
        gains = np.array([found.gain for found in mixtures])
        grid = stray_grid(gains.sum(axis=0))
        if grid is None:
            return np.zeros(luma.plane.shape, np.float32)
        row, column = divmod(grid, BLOCK)
        ratio = np.zeros(everywhere[0][row::BLOCK, column::BLOCK].shape)
        for found, values, gain in zip(mixtures, everywhere, gains, strict=True):
            others = np.delete(gain, [0, grid])
            if gain[grid] > others.mean() + LEAST_EXCESS * others.std():
                ratio += found.log_ratio[found.step[grid]][values[row::BLOCK, column::BLOCK].astype(int) + REACH]
        return spread(ndimage.uniform_filter(ratio, 3, mode="nearest"), luma.plane.shape, BLOCK, origin=(row, column))


def stray_grid(gains: Float[np.ndarray, "64"]) -> int | None:
    """The JPEG grid, 8 · row + column of its start, whose gain stands out from the other 62; never 0, the file's."""
    best, second = 1 + np.argsort(gains[1:])[[-1, -2]]
    return int(best) if gains[best] > max(LEAST_GAIN, LEAST_LEAD * gains[second]) else None


def sliding_coefficient(
    plane: UInt8[np.ndarray, "height width"], place: tuple[int, int]
) -> Int[np.ndarray, "rows columns"]:
    """One DCT coefficient, rounded, of every 8x8 block in the plane, by the pixel where the block starts."""
    waves = fft.idct(np.eye(BLOCK, dtype=np.float32), norm="ortho", axis=0).T
    values = plane.astype(np.float32) - 128
    for axis in range(2):
        values = ndimage.correlate1d(values, waves[place[axis]], axis=axis, origin=-(BLOCK // 2), mode="nearest")
    return np.rint(values[: 1 - BLOCK, : 1 - BLOCK]).astype(np.int16)


def mixture(everywhere: Int[np.ndarray, "rows columns"], step: int, largest: int) -> Mixture:
    """Models one coefficient on each JPEG grid as a mixture: its general distribution, and that quantised once before.

    Args:
      everywhere: the coefficient of the block starting at each pixel.
      step: the last quantisation step, which blurs the traces of the first.
      largest: the largest first step to look for, unless the last one is larger.
    """
    shifted = everywhere.astype(np.int64) + REACH
    grids = [shifted[row::BLOCK, column::BLOCK] for row in range(BLOCK) for column in range(BLOCK)]
    counts = np.array([np.bincount(grid.ravel(), minlength=2 * REACH + 1) for grid in grids], np.float64)
    prior = ndimage.gaussian_filter1d(counts.sum(axis=0), PRIOR_BLUR)
    prior = (prior + 1e-3) / (prior + 1e-3).sum()
    steps = np.arange(max(2, int(step / 3**0.5)), max(largest, step) + 1)
    once_more = quantized(prior, steps, np.hypot(step / 12**0.5, ROUNDING))
    blocks = grids[0].size
    ratios = (once_more * blocks + 1 / len(prior)) / (blocks + 1) / prior
    gains = np.max([counts @ np.log1p(share * (ratios - 1)).T for share in SHARES], axis=0)
    return Mixture(gains.max(axis=1), gains.argmax(axis=1), np.log(ratios))


def quantized(
    density: Float[np.ndarray, " values"], steps: Int[np.ndarray, " steps"], scatter: float
) -> Float[np.ndarray, "steps values"]:
    """Densities of −`REACH` … `REACH` after quantisation with each step plus Gaussian error of deviation `scatter`."""
    values = np.arange(-REACH, REACH + 1)
    after = np.zeros((len(steps), len(values)))
    for row, step in zip(after, steps, strict=True):
        multiples = np.clip(np.rint(values / step) * step, -REACH, REACH).astype(int)
        np.add.at(row, multiples + REACH, density)
    return ndimage.gaussian_filter1d(after, scatter, axis=1, mode="nearest")
