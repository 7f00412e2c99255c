"""The row that sees a JPEG compressed twice on two grids: `nadq`.

What is cut out of a JPEG and pasted where its grid does not meet the host's keeps the mark of its first quantisation:
on its own grid its coefficients gather around the multiples of the first steps.
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
"""Standard deviation, in levels, that rounding to whole pixels gives a DCT coefficient."""

PRIOR_BLUR = 2.0
"""Standard deviation of the Gaussian that takes the scatter of counts out of a histogram."""

SHARES = np.array([0.02, 0.05, 0.1, 0.2, 0.35, 0.55, 0.8])
"""Of blocks on another grid, among which the likeliest is looked for."""

LEAST_GAIN, LEAST_LEAD = 35.0, 1.4
"""How much a grid must raise the log likelihood for its trace to be believed, and by what factor more than any other.
Of 80 photographs without the trace, those led by more than 1.4 gained up to 30."""

LEAST_EXCESS = 2.5
"""Standard deviations by which a coefficient's gain on that grid must exceed its mean over the others to be used."""


class Mixture(NamedTuple):
    """How well a first quantisation of part of the blocks explains one coefficient, for each of the 64 grids."""

    gain: Float[np.ndarray, " grids"]
    """Of the log likelihood, over no first quantisation, by the likeliest step and share."""

    step: Int[np.ndarray, " grids"]
    """Index of that step."""

    log_ratio: Float[np.ndarray, "steps values"]
    """log P(value | quantised first) / P(value | not), from −`REACH` to `REACH`, per step."""


@register("nadq")
class ShiftedGrid(CoefficientLocalizer):
    """The likelihood ratio, block by block, of a first compression on a grid that is not the file's, to none.

    T. Bianchi and A. Piva, "Image Forgery Localization via Block-Grained Analysis of JPEG Artifacts", IEEE Transactions
    on Information Forensics and Security 7(3), 2012. Of the 63 other grids it is the one on which quantising part of
    the blocks raises the likelihood most, all `FREQUENCIES` together where the paper looks at the DC alone. What the
    histograms would be without is read off all grids together.
    """

    name = "nadq"
    cell = 1
    smallest = 3 * BLOCK

    def stored_response(self, luma: Luma) -> Float32[np.ndarray, "height width"]:
        """Log likelihood ratio, summed over 3x3 blocks; 0 everywhere in an image without such a grid."""
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
    """The grid, 8 · row + column of its origin, whose gain stands out of the other 62; the file's own, 0, is none."""
    best, second = 1 + np.argsort(gains[1:])[[-1, -2]]
    return int(best) if gains[best] > max(LEAST_GAIN, LEAST_LEAD * gains[second]) else None


def sliding_coefficient(
    plane: UInt8[np.ndarray, "height width"], place: tuple[int, int]
) -> Int[np.ndarray, "rows columns"]:
    """One DCT coefficient, rounded, of the 8x8 block that begins at each pixel and lies in the plane."""
    waves = fft.idct(np.eye(BLOCK, dtype=np.float32), norm="ortho", axis=0).T
    values = plane.astype(np.float32) - 128
    for axis in range(2):
        values = ndimage.correlate1d(values, waves[place[axis]], axis=axis, origin=-(BLOCK // 2), mode="nearest")
    return np.rint(values[: 1 - BLOCK, : 1 - BLOCK]).astype(np.int16)


def mixture(everywhere: Int[np.ndarray, "rows columns"], step: int, largest: int) -> Mixture:
    """Explains one coefficient on each grid as a mixture of what it is anywhere and of that after a first quantisation.

    Args:
      everywhere: the coefficient of the block at each pixel.
      step: of the last quantisation, which blurs the traces of the first.
      largest: step of a first quantisation that is looked for; at least the last one's is.
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
    """Densities of −`REACH` … `REACH` after quantisation by each step and a Gaussian error of deviation `scatter`."""
    values = np.arange(-REACH, REACH + 1)
    after = np.zeros((len(steps), len(values)))
    for row, step in zip(after, steps, strict=True):
        multiples = np.clip(np.rint(values / step) * step, -REACH, REACH).astype(int)
        np.add.at(row, multiples + REACH, density)
    return ndimage.gaussian_filter1d(after, scatter, axis=1, mode="nearest")
