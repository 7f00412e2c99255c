"""Edges of photographs, and the intensity–gradient histogram of each (Chen, McCloskey & Yu, CVPR 2017).

A lens blurs light before the camera's nonlinear response is applied; an editor blurs pixels to which it already has
been. In both cases, gradient plotted against intensity across an edge is an arch: skewed in the first, symmetric in the
second.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int32, Shaped, UInt8
from scipy import ndimage

PATCH = 25
"""Pixels along the side of the patch around an edge pixel."""
BINS = 28
"""Number of bins for intensity, and for gradient."""
SMOOTHING = 1.0
HIGH, LOW = 6.0, 3.0
"""Canny's thresholds for gradients, in levels per pixel."""
LEAST_CONTRAST = 24.0
"""Levels between the darkest and the brightest pixel of a patch."""
LEAST_COHERENCE = 0.7
"""1 if all gradients of a patch lie along one line, 0 if they point everywhere."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_SCALE = 255 / np.log1p(PATCH * PATCH)
_CHUNK = 1024


class Edges(NamedTuple):
    """n edge pixels of an image."""

    positions: Int32[np.ndarray, "n 2"]
    """Rows and columns; each has a whole patch around it."""
    histograms: UInt8[np.ndarray, "n 28 28"]
    """Counts c of pixels by intensity and gradient, as 255 log(1 + c) / log(1 + 625)."""


def luma(image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "height width"]:
    """Rec. 601 luma, 0 … 255."""
    return image @ _LUMA


def find_edges(image: UInt8[np.ndarray, "height width 3"], most: int | None = None) -> Edges:
    """The edges of an image that are straight and have contrast, with their histograms.

    Args:
        image: RGB; has no edges if smaller than `PATCH` pixels.
        most: if there are more edges, this many are taken, evenly spaced in raster order; None for all.
    """
    grey = luma(image)
    positions = np.argwhere(canny(grey) & _one_direction(grey) & _inner(grey.shape)).astype(np.int32)
    if most is not None and len(positions) > most:
        positions = positions[np.linspace(0, len(positions) - 1, most).round().astype(int)]
    return Edges(positions, histograms(grey, positions))


def canny(grey: Float32[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Canny's edges (PAMI 1986): ridges of the smoothed gradient above `LOW` that reach `HIGH` somewhere."""
    smooth = ndimage.gaussian_filter(grey, SMOOTHING, mode="nearest")
    down, right = _gradients(smooth)
    strength = np.hypot(down, right)
    # The gradient's direction in eighths of a turn, opposites merged: tells which neighbours lie across the edge.
    octant = np.rint(4 * np.arctan2(down, right) / np.pi).astype(int) % 4
    padded = np.pad(strength, 1)
    height, width = grey.shape
    ridge = np.zeros(grey.shape, bool)
    for number, (y, x) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        ahead, behind = (padded[1 + s * y : 1 + s * y + height, 1 + s * x : 1 + s * x + width] for s in (1, -1))
        ridge |= (octant == number) & (strength > ahead) & (strength >= behind)
    candidates = ridge & (strength >= LOW)
    components, _ = ndimage.label(candidates, np.ones((3, 3)))
    return candidates & np.isin(components, np.unique(components[candidates & (strength >= HIGH)]))


def histograms(
    grey: Float32[np.ndarray, "height width"], positions: Int32[np.ndarray, "n 2"]
) -> UInt8[np.ndarray, "n 28 28"]:
    """Intensity against gradient, over the patch around each position.

    Intensity runs from a patch's darkest to its brightest pixel, the gradient from 0 to the patch's largest, so that
    the arch has the same size for any contrast and blur width. Gradients are central differences: wider filters would
    add blur.
    """
    found = np.empty((len(positions), BINS, BINS), np.uint8)
    if not len(positions):  # for example in an image smaller than a patch
        return found
    gradient = np.hypot(*_gradients(grey))
    planes = [np.lib.stride_tricks.sliding_window_view(plane, (PATCH, PATCH)) for plane in (grey, gradient)]
    for start in range(0, len(positions), _CHUNK):
        rows, columns = (positions[start : start + _CHUNK] - PATCH // 2).T
        intensity, strength = (plane[rows, columns].reshape(len(rows), -1) for plane in planes)
        darkest, brightest = intensity.min(axis=1, keepdims=True), intensity.max(axis=1, keepdims=True)
        cells = BINS * _bins(intensity - darkest, brightest - darkest)
        cells += _bins(strength, strength.max(axis=1, keepdims=True))
        cells += BINS * BINS * np.arange(len(rows))[:, None]
        counts = np.bincount(cells.ravel(), minlength=len(rows) * BINS * BINS)
        found[start : start + _CHUNK] = np.rint(_SCALE * np.log1p(counts)).reshape(-1, BINS, BINS)
    return found


def _bins(values: Float32[np.ndarray, "n pixels"], largest: Float32[np.ndarray, "n 1"]) -> Shaped[np.ndarray, "..."]:
    return np.minimum((BINS / np.maximum(largest, 1e-6) * values).astype(np.int64), BINS - 1)


def _gradients(
    grey: Float32[np.ndarray, "height width"],
) -> tuple[Float32[np.ndarray, "height width"], Float32[np.ndarray, "height width"]]:
    """Central differences, downward and to the right, in levels per pixel."""
    padded = np.pad(grey, 1, mode="edge")
    return (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2, (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2


def _one_direction(grey: Float32[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Where the surrounding patch has contrast and gradients along one line (by the structure tensor)."""
    down, right = _gradients(grey)
    yy, xx, xy = (ndimage.uniform_filter(a * b, PATCH) for a, b in ((down, down), (right, right), (down, right)))
    coherent = np.sqrt((yy - xx) ** 2 + 4 * xy**2) >= LEAST_COHERENCE * np.maximum(yy + xx, 1e-6)
    brightest, darkest = ndimage.maximum_filter(grey, PATCH), ndimage.minimum_filter(grey, PATCH)
    return coherent & (brightest - darkest >= LEAST_CONTRAST)


def _inner(size: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    """The pixels with a whole patch around them."""
    inner, margin = np.zeros(size, bool), PATCH // 2
    inner[margin : size[0] - margin, margin : size[1] - margin] = True
    return inner
