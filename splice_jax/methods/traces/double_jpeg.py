"""Methods that detect a JPEG compressed twice on the same JPEG grid: `adq1` and `adq2`.

A coefficient quantised with step q1 and then with q2 often lands on some multiples of q2 and never on others, with
period q1 / q2. What was pasted in before the second compression, from a source that was no JPEG or had another JPEG
grid, has in effect been quantised once: its coefficients do not follow the period.
"""

import numpy as np
from jaxtyping import Float, Int, UInt8, UInt16
from scipy import fft, ndimage, special

from splice_jax.jpeg import BLOCK, STANDARD_TABLE, ZIGZAG, Luma, block_dct
from splice_jax.methods.localizer import Found, Undefined
from splice_jax.methods.registry import register
from splice_jax.methods.traces.coefficients import CoefficientLocalizer
from splice_jax.methods.traces.trace import luma as luma_of

FREQUENCIES = ZIGZAG[:15]
"""The lowest frequencies: coefficients of higher ones are zero nearly everywhere."""

LARGEST_STEPS = 2 * STANDARD_TABLE
"""Steps of a first compression at quality 25; at lower ones, people would hardly see what they paste into."""

LEAST_PEAK = 5.0
"""A period counts if its peak in the amplitude spectrum is this many times the spectrum's median …"""

LEAST_RISE = 2.0
"""… and this many times the mean of the band from an octave to a third of an octave below it; the hump of the
histogram's own shape is not."""

ROUNDING = 0.4
"""Standard deviation, in levels, of a DCT coefficient's error from rounding pixels between two compressions."""

LEAST_SHARE = 0.25
"""Share of the image that must be compressed twice for a first step to be accepted …"""

LEAST_GAIN = 20.0
"""… and by how much it must lower chi squared. In singly compressed photographs, the best steps gain up to 9."""

LEAST_RATIO = 1e-3
"""Values that a first compression should rule out may still arise from clipping and unforeseen causes."""


@register("adq1", version=3)
class PeriodicHistogram(CoefficientLocalizer):
    """The posterior probability, block by block, that coefficients do not follow the image histograms' period.

    Z. Lin, J. He, X. Tang and C.-K. Tang, "Fast, automatic and fine-grained tampered JPEG image detection via DCT
    coefficient analysis", Pattern Recognition 42, 2009. The response is the log odds of the posterior. Pixels that no
    JPEG decodes to are analysed as if compressed with steps of 1, so that the single compression of a host that was
    spliced and saved losslessly later counts as the first.
    """

    name = "adq1"
    looks_for = "Signs that the photograph was compressed twice as JPEG: blocks without these signs count as pasted in."
    flat = "no coefficient shows the period of a first compression"

    def stored_response(self, luma: Luma) -> Float[np.ndarray, "rows columns"]:
        """Log odds that a block was compressed once."""
        return periodic_log_odds(luma.coefficients, luma.table)

    def response(self, image: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "rows columns"]:
        """Log odds that a block was never compressed, in an image that was."""
        return periodic_log_odds(
            np.rint(block_dct(luma_of(image))).astype(np.int16), np.ones((BLOCK, BLOCK), np.uint16)
        )

    def without_coefficients(self, image: UInt8[np.ndarray, "height width 3"], why: Undefined) -> Found:
        """From the pixels as if compressed with steps of 1, in blocks that begin where a grid stands out."""
        from splice_jax.models.traces.decoded import grid_origin, whole_blocks  # loads JAX

        origin = grid_origin(image) or (0, 0)
        return self.found(self.response(whole_blocks(image, origin)), (image.shape[0], image.shape[1]), origin)


@register("adq2", version=3)
class RequantizedHistogram(CoefficientLocalizer):
    """The likelihood ratio, block by block, of one compression to two, with the first one's steps estimated.

    T. Bianchi, A. De Rosa and A. Piva, "Improved DCT coefficient analysis for forgery localization in JPEG images",
    ICASSP 2011. The histograms without a first compression are estimated from the decoded image shifted by half a
    block. Zeros are ignored; the log ratios are smoothed by 5x5 medians.
    """

    name = "adq2"
    looks_for = (
        "The same signs of two compressions, weighed by likelihood: blocks that were compressed once count as "
        "pasted in."
    )
    flat = "no first compression is found"
    smallest = 2 * BLOCK

    def stored_response(self, luma: Luma) -> Float[np.ndarray, "rows columns"]:
        """Log likelihood ratio of one compression to two; 0 everywhere if no first compression is found."""
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
    """Log odds that each block does not follow the histograms' periods, from quantised coefficients (integers)."""
    odds = np.zeros(coefficients.shape[:2])
    for place in FREQUENCIES:
        odds += aperiodic_log_odds(coefficients[:, :, *place].astype(int), LARGEST_STEPS[place] / table[place])
    return odds


def aperiodic_log_odds(values: Int[np.ndarray, "rows columns"], largest: float) -> Float[np.ndarray, "rows columns"]:
    """log P(value | no period) / P(value | the histogram's period), for one coefficient of each block.

    Within one period, a block that follows the period has each value as often as the histogram says; in one that does
    not, all values are equally likely. The period considered is centred on the value; `largest` is the longest tried.
    """
    period = find_period(values, largest)
    if period == 1.0:
        return np.zeros(values.shape)
    shifted = values - values.min()
    counts = np.bincount(shifted.ravel()).astype(np.float64)
    mean = ndimage.convolve1d(counts, _window(period), mode="constant")
    return np.log((mean + 1) / (counts + 1))[shifted]


def find_period(values: Int[np.ndarray, "*shape"], largest: float, *, tested: bool = True) -> float:
    """The period of a histogram of integers, from the highest peak of its Fourier spectrum; 1 if there is none.

    The spectrum is that of the counts' square roots, whose scatter is uniform. The bin at zero is interpolated: most
    coefficients are zero, and the spectrum of one high bin is flat. The hump of the histogram's own shape ends at the
    first valley.

    Args:
      values: at least one.
      largest: the longest period to look for.
      tested: whether the peak must stand out as `LEAST_PEAK` and `LEAST_RISE` demand.
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
    """log P(value | compressed once) / P(value | compressed twice), for one coefficient of each block.

    Args:
      values: quantised coefficients.
      singly: coefficients as they would be after a single quantisation, from any blocks.
      step: the quantisation step.
      largest: the largest first step to look for.
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
    """How much more often each value −`reach` … `reach` occurs after two quantisations than after the second alone.

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
    """The index of the first step and the share compressed twice that best explain a histogram; share 0 for none.

    The model is prior · (share · ratio + 1 − share), fitted by least squares weighted by the counts' variances. Zero is
    left out: how many coefficients are zero depends on too much else.
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
    """A centred mean over `length` bins, with fractional weight for the outermost ones."""
    reach = int(np.ceil((length - 1) / 2))
    taps = np.clip(length / 2 - np.abs(np.arange(-reach, reach + 1)) + 0.5, 0, 1)
    return taps / taps.sum()
