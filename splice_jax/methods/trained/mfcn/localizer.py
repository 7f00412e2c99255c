"""How `sfcn`, `mfcn` and `mfcn_edge` localize: the network runs on the whole image, or on overlapping windows."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32, UInt8
from scipy import ndimage

from splice_jax.data.feeding.image_table import EDGE_RADIUS
from splice_jax.methods.family import Refine, Variables
from splice_jax.methods.localizer import Found
from splice_jax.methods.trained.network import NetworkLocalizer
from splice_jax.models.mfcn import MFCN

BUCKET = 128
"""Inputs are padded to multiples of this, so that images of many sizes need few compilations."""
WINDOW = 1280
"""The longest side the network sees at once; larger images are covered by windows."""
OVERLAP = 256
LEAST_HOLE = (2 * EDGE_RADIUS + 1) ** 2
"""Smaller holes in an edge map are gaps in a thick edge, not the inside of a contour."""


@functools.partial(jax.jit, static_argnames="network")
def _probabilities(network: MFCN, variables: Variables, image: Array) -> Array:
    """Probabilities of the surface and, if there is an edge decoder, of the edge: [decoders, height, width]."""
    scores: Any = network.apply(variables, image[None])
    return jnp.stack([jnp.exp(score[0, ..., 1]) for score in scores if score is not None])


class MfcnLocalizer(NetworkLocalizer):
    """Runs the network on the whole image, padded to multiples of `BUCKET` by repeating its last row and column.

    At most (`WINDOW` / `BUCKET`)² sizes are ever compiled. A larger image is covered by overlapping windows, whose maps
    are averaged where they overlap.
    """

    smallest = 32  # Pixels along the side of one value of pool5: of a smaller image, most of what it sees is padding.
    looks_for = "What a network that sees large parts of the photograph at once learned to take for pasted in."

    def __init__(self, name: str, network: MFCN, variables: Variables, *, refine: Refine | None = None) -> None:
        """Puts the variables on the first device.

        Args:
            name: the method: `sfcn` and `mfcn` return the surface, `mfcn_edge` the surface within closed edges.
            network: the network; `mfcn_edge` needs one with an edge decoder.
            variables: its Flax variables.
            refine: the CRF; None for none.
        """
        super().__init__(name, variables, refine=refine)
        self.network = network

    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> Found:
        """Localizes the spliced region of one RGB image.

        Raises:
            Undefined: the image is smaller than one value of the network's coarsest features.
        """
        self.require_size(image)
        maps = self.maps(image)
        probability = within_edges(*maps) if self.name == "mfcn_edge" else maps[0]
        if self.refine is not None:
            probability = self.refine(image, probability)
        return Found(probability, probability >= 0.5)

    def maps(self, image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "decoders height width"]:
        """Probabilities of the spliced surface and, if there is an edge decoder, of its edge."""
        decoders = 2 if self.network.edge else 1
        total = np.zeros((decoders, *image.shape[:2]), np.float32)
        count = np.zeros(image.shape[:2], np.float32)
        for rows in windows(image.shape[0]):
            for columns in windows(image.shape[1]):
                total[:, rows, columns] += self._window(image[rows, columns])
                count[rows, columns] += 1
        return total / count

    def _window(self, image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "decoders height width"]:
        height, width = image.shape[:2]
        missing = [(0, -side % BUCKET) for side in (height, width)]
        padded = np.pad(image, [*missing, (0, 0)], mode="edge")
        return np.asarray(_probabilities(self.network, self.variables, padded))[:, :height, :width]


def windows(side: int) -> list[slice]:
    """Evenly spaced windows of at most `WINDOW` pixels that cover a side and overlap by at least `OVERLAP`.

    >>> windows(1280), windows(2000)
    ([slice(0, 1280, None)], [slice(0, 1280, None), slice(720, 2000, None)])
    """
    if side <= WINDOW:
        return [slice(0, side)]
    count = math.ceil((side - OVERLAP) / (WINDOW - OVERLAP))
    starts = np.linspace(0, side - WINDOW, count).round().astype(int).tolist()
    return [slice(start, start + WINDOW) for start in starts]


def within_edges(
    surface: Float32[np.ndarray, "height width"], edge: Float32[np.ndarray, "height width"]
) -> Float32[np.ndarray, "height width"]:
    """The surface's probabilities inside closed edges, 0 elsewhere: a threshold of 0.5 intersects the two masks.

    The edge map is thresholded at 0.5 and its holes are filled. If no contour encloses `LEAST_HOLE` pixels, or none
    encloses any of the surface, the surface is returned unchanged.
    """
    contour = edge >= 0.5
    holes = _large(ndimage.binary_fill_holes(contour) & ~contour)
    inside = contour | holes
    if not holes.any() or not (inside & (surface >= 0.5)).any():
        return surface
    return np.where(inside, surface, np.float32(0))


def _large(mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Drops components of fewer than `LEAST_HOLE` pixels."""
    components, _ = ndimage.label(mask)
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    return sizes[components] >= LEAST_HOLE
