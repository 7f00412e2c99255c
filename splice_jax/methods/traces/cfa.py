"""Methods based on the colour filter array: neighbours predict green where a camera interpolated it, not elsewhere.

A camera records green at every other pixel, like the black squares of a chessboard, and interpolates it at the others.
Which squares is unknown; the choice with the smaller error over the whole image is assumed, so that the larger part,
the host, has the trace. A region without the trace (resampled, blurred, compressed, computed) or with the opposite
chessboard (pasted at an odd offset) counts as spliced.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8
from scipy import ndimage, special

from splice_jax.methods.localizer import Undefined
from splice_jax.methods.registry import register
from splice_jax.methods.traces.trace import TraceLocalizer, blocks

NEIGHBOURS = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4
"""Bilinear interpolation of green from the four nearest pixels that have it."""

ROUNDING = 1 / 12
"""The variance of rounding to whole levels: an error no larger than this says nothing."""

LEAST_STD, LEAST_SHARE = 0.05, 0.01
"""Lower bounds that keep a component of the mixture from vanishing when the data have only one."""


class ChessboardLocalizer(TraceLocalizer):
    """What `cfa1` and `cfa2` have in common: the error of predicting green, and which pixels were interpolated."""

    smallest = 16
    weakened_by = {
        "jpeg": "JPEG compression wipes most of the sensor's pattern out",
        "resized": "resizing wipes the sensor's pattern out",
    }

    def green_error(self, image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "height width"]:
        """`prediction_error` of the green channel.

        Raises:
          Undefined: the image is grey.
        """
        if (image == image[..., :1]).all():
            raise Undefined(f"row {self.name} needs a colour image; this one is grey, and no filter array made it")
        return prediction_error(image[..., 1].astype(np.float32))


def prediction_error(plane: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    """Each pixel minus the mean of its four neighbours; at the border, inner neighbours count twice."""
    return plane - ndimage.correlate(plane, NEIGHBOURS, mode="mirror")


def chessboard(height: int, width: int) -> Bool[np.ndarray, "height width"]:
    """True at every other pixel, starting with the first."""
    return np.add.outer(np.arange(height), np.arange(width)) % 2 == 0


@register("cfa1", version=3)
class LocalVarianceRatio(ChessboardLocalizer):
    """How much more the prediction error varies at recorded pixels than at interpolated ones, block by block.

    P. Ferrara, T. Bianchi, A. De Rosa and A. Piva, "Image Forgery Localization via Fine-Grained Analysis of CFA
    Artifacts", IEEE Transactions on Information Forensics and Security 7(5), 2012. The logarithms of the ratios follow
    a mixture of two normal distributions: around 0 without the trace, around a positive value with it. The response is
    how much likelier a block is to lack the trace, smoothed by a median over 5x5 blocks.
    """

    name = "cfa1"
    looks_for = (
        "The pattern that a sensor of red, green and blue points leaves in a photograph: where it is missing "
        "counts as pasted in."
    )
    cell = 8

    def response(self, image: UInt8[np.ndarray, "height width 3"]) -> Float64[np.ndarray, "rows columns"]:
        """Log likelihood ratio, positive where the trace is missing; NaN where a block is flat."""
        evidence = log_variance_ratio(self.green_error(image), self.cell)
        told = evidence[np.isfinite(evidence)]
        if not told.size:
            return evidence
        middle = np.median(told)
        evidence, told = (-evidence, -told) if middle < 0 else (evidence, told)
        ratio = fit_mixture(told).log_likelihood_ratio(np.nan_to_num(evidence, nan=abs(middle)))
        return np.where(np.isnan(evidence), np.nan, ndimage.median_filter(ratio, 5, mode="nearest"))


def log_variance_ratio(error: Float32[np.ndarray, "height width"], cell: int) -> Float64[np.ndarray, "rows columns"]:
    """Per block, the mean log of the error's local variance on `chessboard` minus that on the other squares.

    NaN where a block is so flat that rounding to whole levels hides everything.
    """
    first = chessboard(*error.shape)
    variance = np.where(first, local_variance(error, first), local_variance(error, ~first))
    signed = np.where(first, 2, -2) * np.log(variance + ROUNDING)
    ratio = blocks(signed, cell).mean(axis=(2, 3), dtype=np.float64)
    return np.where(blocks(variance, cell).mean(axis=(2, 3)) > ROUNDING, ratio, np.nan)


def local_variance(
    values: Float32[np.ndarray, "height width"], among: Bool[np.ndarray, "height width"]
) -> Float32[np.ndarray, "height width"]:
    """The variance of the values selected by `among` in each 7x7 window, weighted by a Gaussian of one pixel."""
    weight, mean, square = (
        ndimage.gaussian_filter(np.where(among, moment, np.float32(0)), 1, radius=3, mode="mirror")
        for moment in (np.float32(1), values, values * values)
    )
    return np.maximum(square / weight - (mean / weight) ** 2, 0)


class Mixture(NamedTuple):
    """Two normal distributions: `without` the trace, of mean 0, and `with` it."""

    mean: float
    """With the trace."""
    without_std: float
    with_std: float
    share: float
    """Share of values with the trace."""

    def log_likelihood_ratio(self, values: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
        """Log of P(value | without) / P(value | with the trace), for values clipped to the range from 0 to the mean."""
        values = np.clip(values, 0, max(self.mean, 0))
        return _log_normal(values, 0, self.without_std) - _log_normal(values, self.mean, self.with_std)


def fit_mixture(values: Float64[np.ndarray, " n"], iterations: int = 50) -> Mixture:
    """Fits the mixture by expectation maximization, starting from the upper quartile, deviation and equal shares."""
    std = max(float(values.std()), LEAST_STD)
    mixture = Mixture(float(np.quantile(values, 0.75)), std, std, 0.5)
    for _ in range(iterations):
        without = _log_normal(values, 0, mixture.without_std) + np.log(1 - mixture.share)
        with_trace = _log_normal(values, mixture.mean, mixture.with_std) + np.log(mixture.share)
        belongs = special.expit(with_trace - without)
        share = float(np.clip(belongs.mean(), LEAST_SHARE, 1 - LEAST_SHARE))
        mean = _mean(values, belongs)
        without_std = max(_mean(values**2, 1 - belongs) ** 0.5, LEAST_STD)
        mixture = Mixture(mean, without_std, max(_mean((values - mean) ** 2, belongs) ** 0.5, LEAST_STD), share)
    return mixture


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    return float(weights @ values / max(weights.sum(), LEAST_SHARE))


def _log_normal(values: np.ndarray, mean: float, std: float) -> np.ndarray:
    """Log density, up to a constant shared by all."""
    return -(((values - mean) / std) ** 2) / 2 - np.log(std)


@register("cfa2", version=2)
class GreenErrorShare(ChessboardLocalizer):
    """The share of a block's prediction error at interpolated pixels: one half where the trace is missing.

    A. E. Dirik and N. Memon, "Image Tamper Detection Based on Demosaicing Artifacts", ICIP 2009: green is interpolated
    again under each possible filter array, and the errors are compared. The four Bayer arrays share two chessboards of
    green. A block is 16x16 pixels.
    """

    name = "cfa2"
    looks_for = (
        "The same sensor pattern by another measure: where recorded and computed points look alike counts as pasted in."
    )
    cell = 16

    def response(self, image: UInt8[np.ndarray, "height width 3"]) -> Float64[np.ndarray, "rows columns"]:
        """Share of the squared error, in [0, 1]; NaN where the error is no larger than rounding."""
        square = self.green_error(image).astype(np.float64) ** 2
        first = chessboard(*square.shape)
        errors = np.stack(
            [blocks(square * interpolated, self.cell).mean(axis=(2, 3)) for interpolated in (first, ~first)]
        )
        both, smaller = errors.sum(axis=0), errors[errors.mean(axis=(1, 2)).argmin()]
        return np.divide(smaller, both, out=np.full_like(both, np.nan), where=both > ROUNDING)
