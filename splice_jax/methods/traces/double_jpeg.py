"""Rows that see a JPEG compressed twice on one grid: `adq1` and `adq2`.

A coefficient quantised by step q1 and then by q2 lands on some of the values of the second grid often and on others
never, with the period q1 / q2. What was pasted in before the second compression, from no JPEG or from one with another
grid, has been quantised once in effect: its coefficients do not follow the period.
"""

import numpy as np
from jaxtyping import Float, Int, UInt8, UInt16
from scipy import fft, ndimage, special

from splice_jax.jpeg import BLOCK, STANDARD_TABLE, ZIGZAG, Luma, block_dct
from splice_jax.methods.localizer import Found
from splice_jax.methods.registry import register
from splice_jax.methods.traces.coefficients import CoefficientLocalizer
from splice_jax.methods.traces.trace import luma as luma_of

FREQUENCIES = ZIGZAG[:15]
"""The coarsest coefficients: finer ones are zero nearly everywhere."""

LARGEST_STEPS = 2 * STANDARD_TABLE
"""Of a first compression, those of quality 25: whoever pastes into an image can still see what is in it."""

LEAST_PEAK = 5.0
"""A period counts where its peak in the amplitude spectrum stands this many times above the spectrum's median …"""

LEAST_RISE = 2.0
"""… and this many times above the mean of what lies an octave to a third of one below it, which the hump of the
histogram's own shape does not."""

ROUNDING = 0.4
"""Standard deviation, in levels, that rounding to whole pixels gives a DCT coefficient between two compressions."""

LEAST_SHARE = 0.25
"""Of the image that must be compressed twice for a first step to be believed …"""

LEAST_GAIN = 20.0
"""… and by how much it must lower chi squared. Singly compressed photographs' best steps lower it by up to 9."""

LEAST_RATIO = 1e-3
"""A value that the first compression cannot leave may still come of clipping and of what was not foreseen."""


@register("adq1")
class PeriodicHistogram(CoefficientLocalizer):
    """The posterior, block by block, that the coefficients do not follow the period of the image's histograms.

    Z. Lin, J. He, X. Tang and C.-K. Tang, "Fast, automatic and fine-grained tampered JPEG image detection via DCT
    coefficient analysis", Pattern Recognition 42, 2009. The response is the log odds of the posterior. Pixels that came
    from no JPEG file are analysed as if compressed with steps of 1, where the one compression of a host since saved
    without loss is the first.
    """

    name = "adq1"

    def stored_response(self, luma: Luma) -> Float[np.ndarray, "rows columns"]:
        """Log odds that a block was compressed once."""
        return periodic_log_odds(luma.coefficients, luma.table)

    def response(self, image: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "rows columns"]:
        """Log odds that a block was never compressed, in an image that was."""
        return periodic_log_odds(
            np.rint(block_dct(luma_of(image))).astype(np.int16), np.ones((BLOCK, BLOCK), np.uint16)
        )

    def without_coefficients(self, image: UInt8[np.ndarray, "height width 3"], reason: str) -> Found:
        """As a call."""
        return self(image)


@register("adq2")
class RequantizedHistogram(CoefficientLocalizer):
    """The likelihood ratio, block by block, of one compression and two, with the first one's steps estimated.

    T. Bianchi, A. De Rosa and A. Piva, "Improved DCT coefficient analysis for forgery localization in JPEG images",
    ICASSP 2011. What the histograms would be without a first compression is read off the image decoded and shifted by
    half a block. Zeros tell nothing; 5x5 medians of the log ratios are taken.
    """

    name = "adq2"
    smallest = 2 * BLOCK

    def stored_response(self, luma: Luma) -> Float[np.ndarray, "rows columns"]:
        """Log likelihood ratio of one compression to two; 0 everywhere in an image without a first one."""
        shifted = block_dct(luma.plane, origin=(BLOCK // 2, BLOCK // 2))
        ratio = np.zeros(luma.coefficients.shape[:2])
        for place in FREQUENCIES:
            step = int(luma.table[place])
            singly = np.rint(shifted[:, :, *place] / step).astype(int)
            ratio += once_log_ratio(
                luma.coefficients[:, :, *place].astype(int), singly, step, int(LARGEST_STEPS[place])
            )
        return ndimage.median_filter(ratio, 5, mode="nearest")


def periodic_log_odds(
    coefficients: Int[np.ndarray, "rows columns 8 8"], table: UInt16[np.ndarray, "8 8"]
) -> Float[np.ndarray, "rows columns"]:
    """Log odds that each block does not follow the histograms' periods, from integers in units of a table's steps."""
    odds = np.zeros(coefficients.shape[:2])
    for place in FREQUENCIES:
        odds += aperiodic_log_odds(coefficients[:, :, *place].astype(int), LARGEST_STEPS[place] / table[place])
    return odds


def aperiodic_log_odds(values: Int[np.ndarray, "rows columns"], largest: float) -> Float[np.ndarray, "rows columns"]:
    """log P(value | no period) / P(value | the histogram's period), of one coefficient of each block.

    Within a period a block of the periodic kind has a value as often as the histogram says, one of the other kind has
    all values equally often. The period is the one around the value; `largest` is the longest that is looked for.
    """
    period = find_period(values, largest)
    if period == 1.0:
        return np.zeros(values.shape)
    shifted = values - values.min()
    counts = np.bincount(shifted.ravel()).astype(np.float64)
    mean = ndimage.convolve1d(counts, _window(period), mode="constant")
    return np.log((mean + 1) / (counts + 1))[shifted]


def find_period(values: Int[np.ndarray, "*shape"], largest: float, *, tested: bool = True) -> float:
    """The period of a histogram of integers, from the highest peak of its Fourier spectrum; 1 where there is none.

    Counts scatter by their roots, so the spectrum is that of the roots, zero left out: most coefficients are zero, and
    the spectrum of one high bin is flat. The hump of the histogram's own shape ends at the first valley.

    Args:
      values: at least one.
      largest: period that is looked for.
      tested: whether the peak must stand out, by `LEAST_PEAK` and `LEAST_RISE`.
    """
    counts = np.bincount((values - values.min()).ravel()).astype(np.float64)
    zero = -int(values.min())
    if 0 < zero < len(counts) - 1:
        counts[zero] = (counts[zero - 1] + counts[zero + 1]) / 2
    length = 4 * len(counts)
    spectrum = np.abs(fft.rfft(np.sqrt(counts), length))
    rising = np.flatnonzero(np.diff(ndimage.uniform_filter1d(spectrum, 5)) > 0)
    first = max(int(rising[0]) if rising.size else length, round(length / largest))
    if first >= len(spectrum):
        return 1.0
    peak = first + int(np.argmax(spectrum[first:]))
    below = spectrum[peak // 2 : peak * 4 // 5 + 1]
    if tested and spectrum[peak] < max(LEAST_PEAK * np.median(spectrum[first:]), LEAST_RISE * below.mean()):
        return 1.0
    return length / peak


def once_log_ratio(
    values: Int[np.ndarray, "rows columns"], singly: Int[np.ndarray, "some_rows some_columns"], step: int, largest: int
) -> Float[np.ndarray, "rows columns"]:
    """log P(value | compressed once) / P(value | compressed twice), of one coefficient of each block.

    Args:
      values: quantised coefficients.
      singly: what coefficients would be had they been quantised once, from anywhere.
      step: of the quantisation.
      largest: step of a first quantisation that is looked for.
    """
    reach = int(np.abs(values).max()) + 1
    counts = np.bincount((values + reach).ravel(), minlength=2 * reach + 1)
    prior = np.bincount((singly.clip(-reach, reach) + reach).ravel(), minlength=2 * reach + 1)
    ratios = requantized(np.arange(1, largest + 1), step, reach)
    best, share = fit_first_step(counts, prior * (values.size / singly.size), ratios)
    log_ratio = -np.log(np.maximum(share * ratios[best] + 1 - share, LEAST_RATIO))
    log_ratio[reach] = 0
    return log_ratio[values + reach]


def requantized(first: Int[np.ndarray, " steps"], second: int, reach: int) -> Float[np.ndarray, "steps values"]:
    """How much more often than without the first quantisation each value −`reach` … `reach` of the second one comes.

    With steps q1 and q2: q1 / q2 times the number of multiples of q1 that round to the value's multiple of q2, each
    blurred by `ROUNDING`; 1 on average. Bianchi et al. 2011 call it n(x).
    """
    edges = (np.arange(-reach, reach + 2) - 0.5) * second
    steps = first[:, None]
    nearest = np.rint(edges / steps)
    below = nearest + special.ndtr((edges - nearest * steps) / ROUNDING)
    return steps / second * np.diff(below, axis=1)


def fit_first_step(
    counts: Int[np.ndarray, " values"], prior: Float[np.ndarray, " values"], ratios: Float[np.ndarray, "steps values"]
) -> tuple[int, float]:
    """The index of the first step, and the share compressed twice, that explain a histogram best; share 0 for none.

    The model is prior · (share · ratio + 1 − share), fitted by least squares with the counts' variances, without zero:
    how many coefficients are zero depends on much else.
    """
    weight = 1 / (prior + 1)
    weight[len(prior) // 2] = 0
    excess = prior * (ratios - 1)
    missing = counts - prior
    energy = np.maximum((weight * excess**2).sum(axis=1), 1e-9)
    shares = np.clip((weight * excess * missing).sum(axis=1) / energy, 0, 1)
    errors = (weight * (missing - shares[:, None] * excess) ** 2).sum(axis=1)
    gains = np.where(shares < LEAST_SHARE, 0, (weight * missing**2).sum() - errors)
    best = int(np.argmax(gains))
    return best, float(shares[best]) if gains[best] > LEAST_GAIN else 0.0


def _window(length: float) -> Float[np.ndarray, " taps"]:
    """A centred mean over `length` bins, of which the outermost count in part."""
    reach = int(np.ceil((length - 1) / 2))
    taps = np.clip(length / 2 - np.abs(np.arange(-reach, reach + 1)) + 0.5, 0, 1)
    return taps / taps.sum()
