"""How `camera_response` localizes: it judges the edges of an image and joins those that look forged into a region.

The paper judges edges; going from edges to a region is this project's own step: `region`.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32, Int32, UInt8
from scipy import ndimage

from splice_jax import metrics
from splice_jax.data.feeding.edge_table import edge_labels
from splice_jax.data.feeding.edges import BINS, PATCH, find_edges
from splice_jax.methods.family import Refine, Variables
from splice_jax.methods.localizer import Found
from splice_jax.methods.trained.network import NetworkLocalizer
from splice_jax.models.camera_response import EdgeLeNet

CHUNK = 1024
"""Edges per call of the network: one compilation serves all images."""
MOST_EDGES, EDGES_PER_MEGAPIXEL = 20_000, 14_000
"""Limits on the edges judged in one image; the network takes most of the time."""
AREA = 24.0
"""Standard deviation of the splat, in pixels; like `CLOSING`, chosen on composed validation images."""
ALONG = 4.0
"""Standard deviation, in pixels, of the Gaussian that averages judgements along a contour."""
CLOSING = 16
"""Pixels by which edges grow on all sides, so that gaps twice as wide close."""
LEVELS = 10
"""Number of levels in the map of contours."""


@functools.partial(jax.jit, static_argnames="network")
def _forged(network: EdgeLeNet, variables: Mapping[str, Any], histograms: Array) -> Array:
    found: Any = network.apply(variables, histograms)
    return jnp.exp(found[:, 1])


@dataclass(frozen=True, eq=False)
class FoundEdges(Found):
    """What was found, and the edges it rests on."""

    edge_positions: Int32[np.ndarray, "n 2"] = field(default_factory=lambda: np.empty((0, 2), np.int32))
    """Rows and columns."""
    edge_probability: Float32[np.ndarray, " n"] = field(default_factory=lambda: np.empty(0, np.float32))
    """Probability that each edge is forged."""

    def further_scores(self, mask: Bool[np.ndarray, "height width"]) -> dict[str, float]:
        """`edge_auc`: how well forged edges are told from authentic ones; NaN if either kind is missing."""
        labels = edge_labels(mask, self.edge_positions)
        clear = labels >= 0
        levels = metrics.quantize(self.edge_probability[clear])
        return {"edge_auc": metrics.curve(levels, labels[clear] == 1).auc() if clear.any() else float("nan")}


class CameraResponseLocalizer(NetworkLocalizer):
    """Judges the edges of an image and joins those that look forged into a region."""

    smallest = PATCH
    looks_for = (
        "Edges that were blurred after the camera had recorded them, as editors do to hide a seam, and what such edges "
        "enclose."
    )

    def __init__(self, name: str, network: EdgeLeNet, variables: Variables, *, refine: Refine | None = None) -> None:
        """Puts the variables on the first device.

        Args:
            name: the method's name.
            network: the network.
            variables: its Flax variables.
            refine: the CRF; None for none.
        """
        super().__init__(name, variables, refine=refine)
        self.network = network

    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> FoundEdges:
        """Localizes the spliced region of one RGB image; the map is 0 if the image has no edges.

        Raises:
            Undefined: the image is smaller than the patch around an edge.
        """
        self.require_size(image)
        size = image.shape[0], image.shape[1]
        edges = find_edges(image, min(MOST_EDGES, math.ceil(EDGES_PER_MEGAPIXEL * math.prod(size) / 1e6)))
        forged = self._judge(edges.histograms)
        probability = region(edges.positions, forged, size)
        if self.refine is not None:
            probability = self.refine(image, probability)
        return FoundEdges(probability, probability >= 0.5, edge_positions=edges.positions, edge_probability=forged)

    def _judge(self, histograms: UInt8[np.ndarray, "n 28 28"]) -> Float32[np.ndarray, " n"]:
        """The probability that each edge is forged."""
        found = np.empty(len(histograms), np.float32)
        for start in range(0, len(histograms), CHUNK):
            part = histograms[start : start + CHUNK]
            filled = np.zeros((CHUNK, BINS, BINS), np.uint8)
            filled[: len(part)] = part
            found[start : start + CHUNK] = np.asarray(_forged(self.network, self.variables, filled))[: len(part)]
        return found


def region(
    positions: Int32[np.ndarray, "n 2"], forged: Float32[np.ndarray, " n"], size: tuple[int, int]
) -> Float32[np.ndarray, "height width"]:
    """Turns judged edges into a map: at each pixel, the higher of `splat` and, where contours close, `enclosed`.

    Args:
        positions: of the edges.
        forged: their probabilities of being forged.
        size: height and width of the map.
    """
    return np.maximum(splat(positions, forged, size), enclosed(positions, forged, size))


def splat(
    positions: Int32[np.ndarray, "n 2"], forged: Float32[np.ndarray, " n"], size: tuple[int, int]
) -> Float32[np.ndarray, "height width"]:
    """Mean probability of the edges around each pixel, weighted by a Gaussian (`AREA`); 0 far from any edge."""
    weight, total = _spread(positions, forged, size, AREA)
    return total / np.maximum(weight, 0.01 * weight.max() + 1e-12)


def enclosed(
    positions: Int32[np.ndarray, "n 2"], forged: Float32[np.ndarray, " n"], size: tuple[int, int]
) -> Float32[np.ndarray, "height width"]:
    """The pixels on or inside contours of edges that look forged.

    Each edge's probability is averaged with its neighbours'. A pixel's value is the highest level at which the edges of
    at least that probability, with their gaps closed, pass through it or enclose it. To close gaps, edges are dilated
    by a square, holes are filled, and the result is eroded by the same square.
    """
    found, where = np.zeros(size, np.float32), tuple(positions.T)
    weight, total = _spread(positions, forged, size, ALONG)
    levels = np.full(size, -1, np.int8)
    levels[where] = np.floor(LEVELS * total[where] / weight[where] + 1e-4)
    margin = CLOSING + 1
    grown = ndimage.maximum_filter(np.pad(levels, margin, constant_values=-1), 2 * CLOSING + 1)
    for level in range(1, int(levels.max()) + 1):
        filled = ndimage.minimum_filter(_filled(grown >= level).view(np.uint8), 2 * CLOSING + 1) == 1
        found[filled[margin:-margin, margin:-margin]] = level / LEVELS
    return found


def _spread(
    positions: Int32[np.ndarray, "n 2"], forged: Float32[np.ndarray, " n"], size: tuple[int, int], deviation: float
) -> tuple[Float32[np.ndarray, "height width"], Float32[np.ndarray, "height width"]]:
    """The number of edges around each pixel and the sum of their probabilities, weighted by a Gaussian."""
    weight, total = np.zeros(size, np.float32), np.zeros(size, np.float32)
    weight[tuple(positions.T)], total[tuple(positions.T)] = 1, forged
    spread = [ndimage.gaussian_filter(plane, deviation, mode="constant") for plane in (weight, total)]
    return spread[0], spread[1]


def _filled(mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Fills the holes of a mask whose upper left corner is empty."""
    outside, _ = ndimage.label(~mask)
    return outside != outside[0, 0]
