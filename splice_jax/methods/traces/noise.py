"""Methods based on noise strength: what another camera took, or other processing changed, is noisier or smoother.

A region counts as spliced if it is noisier than the rest; if a splice is smoother than its host, the map points at the
host.
"""

from collections.abc import Iterator

import numpy as np
import pywt
from jaxtyping import Float32, Float64, UInt8
from scipy import fft, ndimage

from splice_jax.methods.registry import register
from splice_jax.methods.traces.trace import TraceLocalizer, blocks, luma

NORMAL_MEDIAN = 0.6745
"""Median absolute value of a standard normal variable."""

AHEAD = 1
"""Number of coefficients before the one centred on the first two pixels; the filter is not symmetric."""

FILTER, WINDOW = 4, 17
"""Side, in pixels, of `noi2`'s filters and of the windows for its moments."""

LEAST_VARIANCE = 1e-6
"""In squared levels; far below the variance of rounding to whole levels (1/12)."""

NOISE_WEAKENED = {"resized": "resizing changes noise everywhere, and differences in it become smaller"}


@register("noi1", version=2)
class WaveletNoise(TraceLocalizer):
    """The standard deviation of the noise in the finest diagonal wavelet coefficients, block by block.

    B. Mahdian and S. Saic, "Using noise inconsistencies for blind image forensics", Image and Vision Computing 27,
    2009, without their merging of similar blocks. A block is 8x8 coefficients, that is 16x16 pixels.
    """

    name = "noi1"
    looks_for = (
        "Graininess: what is noisier than the rest of the photograph counts as pasted in, in its finest diagonal "
        "details."
    )
    weakened_by = NOISE_WEAKENED
    needs_texture = True
    cell = 16
    smallest = 16

    def response(self, image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "rows columns"]:
        """Standard deviation in levels of 0 … 255."""
        magnitudes = blocks(np.abs(finest_diagonal(luma(image))), self.cell // 2)
        return np.median(magnitudes, axis=(2, 3)) / np.float32(NORMAL_MEDIAN)


def finest_diagonal(plane: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "half_height half_width"]:
    """db8 wavelet coefficients, high-pass along both axes; coefficient (r, c) is centred on the pixels at (2r, 2c)."""
    _, (_, _, diagonal) = pywt.dwt2(plane, "db8", mode="symmetric")
    height, width = plane.shape
    return diagonal[AHEAD : AHEAD + height // 2, AHEAD : AHEAD + width // 2]


@register("noi2", version=2)
class KurtosisNoise(TraceLocalizer):
    """The noise variance that explains the differences in kurtosis between band-pass filters, in sliding windows.

    S. Lyu, X. Pan and X. Zhang, "Exposing Region Splicing Forgeries with Blind Local Noise Estimation", International
    Journal of Computer Vision 110, 2014. In a photograph without noise the kurtosis is about the same in all bands;
    noise lowers it most where the signal is weakest. Since a single window often yields no noise at all, the variance
    is averaged over neighbouring windows.
    """

    name = "noi2"
    looks_for = (
        "Graininess: what is noisier than the rest of the photograph counts as pasted in, judged by how the noise "
        "changes the statistics of fine and coarse details."
    )
    weakened_by = NOISE_WEAKENED
    needs_texture = True
    cell = 4
    smallest = WINDOW

    def response(self, image: UInt8[np.ndarray, "height width 3"]) -> Float64[np.ndarray, "rows columns"]:
        """Standard deviation in levels of 0 … 255."""
        moments = [local_moments(band, WINDOW, self.cell) for band in band_passes(luma(image))]
        variance = noise_variance(*map(np.stack, zip(*moments, strict=True)))
        return np.sqrt(np.maximum(ndimage.uniform_filter(variance, WINDOW // self.cell + 1), 0))  # Sums round below 0.


def band_passes(plane: Float32[np.ndarray, "height width"]) -> Iterator[Float64[np.ndarray, "height width"]]:
    """The plane through each filter of the orthonormal 4x4 DCT except the mean; noise keeps its variance."""
    basis = fft.dct(np.eye(FILTER), norm="ortho", axis=0)
    for row, along_columns in enumerate(basis):
        filtered = ndimage.correlate1d(plane, along_columns, axis=0, output=np.float64)
        for along_rows in basis[1 if row == 0 else 0 :]:
            yield ndimage.correlate1d(filtered, along_rows, axis=1)


def local_moments(
    plane: Float64[np.ndarray, "height width"], window: int, step: int
) -> tuple[Float64[np.ndarray, "rows columns"], Float64[np.ndarray, "rows columns"]]:
    """Variance and excess kurtosis (0 without variance) around the middle pixel of every cell of side `step`."""
    squared = plane * plane  # Products are far faster than NumPy's third and fourth powers.
    powers = plane, squared, squared * plane, squared * squared
    first, second, third, fourth = (_local_mean(power, window, step) for power in powers)
    square = first**2
    variance = np.maximum(second - square, LEAST_VARIANCE)
    central = fourth - 4 * first * third + 6 * square * second - 3 * square**2
    return variance, np.where(variance > LEAST_VARIANCE, central / variance**2 - 3, 0)


def _local_mean(plane: np.ndarray, window: int, step: int) -> np.ndarray:
    along_columns = ndimage.uniform_filter1d(plane, window, axis=0)[step // 2 :: step]
    return ndimage.uniform_filter1d(along_columns, window, axis=1)[:, step // 2 :: step]


def noise_variance(
    variance: Float64[np.ndarray, "bands rows columns"], kurtosis: Float64[np.ndarray, "bands rows columns"]
) -> Float64[np.ndarray, "rows columns"]:
    """The variance v of additive normal noise for which the noise-free kurtosis k comes closest to equal in all bands.

    In a band of variance s, the noise lowers √k to √k · (1 − v / s): a line in 1 / s, fitted by least squares. The
    result is clipped to the range from 0 to the smallest variance of the bands.
    """
    inverse, root = 1 / variance, np.sqrt(np.maximum(kurtosis, 0))
    x, y = inverse.mean(axis=0), root.mean(axis=0)
    slope = (inverse * root).mean(axis=0) - x * y
    spread = (inverse**2).mean(axis=0) - x**2
    intercept = y * spread - x * slope  # Like `slope`, scaled by the spread of 1 / s, which may be 0.
    found = np.divide(-slope, intercept, out=np.zeros_like(x), where=intercept > 0)
    return np.clip(found, 0, variance.min(axis=0))


@register("noi4", version=2)
class MedianResidue(TraceLocalizer):
    """What a 3x3 median filter removes: its mean magnitude over channels and blocks of 16x16 pixels."""

    name = "noi4"
    looks_for = (
        "Graininess: what is noisier than the rest of the photograph counts as pasted in, judged by what a "
        "smoothing filter takes away."
    )
    weakened_by = NOISE_WEAKENED
    needs_texture = True
    cell = 16
    smallest = 16

    def response(self, image: UInt8[np.ndarray, "height width 3"]) -> Float64[np.ndarray, "rows columns"]:
        """Mean magnitude in levels of 0 … 255."""
        planes = np.moveaxis(image, 2, 0).astype(np.int16)
        residue = sum(np.abs(plane - ndimage.median_filter(plane, 3)) for plane in planes)
        return blocks(residue, self.cell).mean(axis=(2, 3)) / 3
