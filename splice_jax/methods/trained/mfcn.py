"""The fully convolutional networks of Salloum, Ren & Kuo 2017 as trained rows: `sfcn`, `mfcn` and `mfcn_edge`."""

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32, UInt8
from ml_collections import ConfigDict
from scipy import ndimage

from splice_jax.augmentation import dihedral, example_keys
from splice_jax.data import Split
from splice_jax.data.feeding.image_table import COLUMNS, EDGE, EDGE_RADIUS, SPLICED, Crop, ImageTable, build_table
from splice_jax.data.feeding.tables import table_folder
from splice_jax.errors import UserError
from splice_jax.losses import median_frequency_weights, weighted_cross_entropy
from splice_jax.methods.localizer import Found
from splice_jax.methods.trained.family import Family, Loss, Refine, Training, Variables, batches_of_run
from splice_jax.methods.trained.network import NetworkLocalizer
from splice_jax.models.mfcn import MFCN, NORMALIZATIONS, STRIDE
from splice_jax.weights.archive import load_variables

VGG_WIDTH = 64
LEAST_WIDTH, MOST_WIDTH = 1 / 16, 1.0
BUCKET = 128
"""Sides that the network sees are multiples of this, so that images of all sizes make few compilations."""
WINDOW = 1280
"""The largest side that the network sees at once; larger images are covered by windows."""
OVERLAP = 256
LEAST_HOLE = (2 * EDGE_RADIUS + 1) ** 2
"""Smaller holes in an edge map are gaps in a thick edge, and no contour."""


class FullyConvolutional(Family):
    """One network; `sfcn` without the edge decoder, `mfcn_edge` with both maps combined."""

    unit = "crops"

    def network(self, config: ConfigDict) -> MFCN:
        """The network, `width` times as wide as VGG-16."""
        check_fields(config)
        width = round(VGG_WIDTH * config.width)
        return MFCN(width, edge=config.method != "sfcn", normalization=config.trunk_normalization)

    def initialize(self, network: MFCN, key: Array) -> Variables:
        """Drawn from `key`; decoders start at 0 and interpolate."""
        return dict(network.init(key, jnp.zeros((1, STRIDE, STRIDE, 3), jnp.uint8)))

    def with_weights(self, variables: Variables, config: ConfigDict) -> Variables:
        """The variables with the trunk's weights from the file that `trunk_weights` names."""
        if not config.trunk_weights:
            print("trunk_weights: empty, the trunk is trained from scratch", flush=True)
            return variables
        trunk = {name: variables[name]["trunk"] for name in variables}
        loaded = load_variables(Path(config.trunk_weights), trunk)
        return {name: variables[name] | {"trunk": loaded[name]} for name in variables}

    def training(self, config: ConfigDict, network: MFCN, variables: Variables, examples: Split) -> Training:
        """Crops at random places; the cross entropies of both decoders, classes weighted by median frequency."""
        folder = table_folder("image_tables", f"{examples.identity} {COLUMNS} {EDGE_RADIUS}")
        table = build_table(examples, folder)
        steps, batches = batches_of_run(config, len(table.sizes), Crop(table, config.crop_size))
        return Training(steps, batches, loss(network, config.loss.normalization, table, augment=config.augment))

    def localizer(
        self, config: ConfigDict, network: MFCN, variables: Variables, *, row: str, refine: Refine | None = None
    ) -> "MfcnLocalizer":
        """A localizer; `mfcn_edge` reads both maps."""
        return MfcnLocalizer(row, network, variables, refine=refine)


FAMILY = FullyConvolutional()


def check_fields(config: ConfigDict) -> None:
    """Makes sure that there is such a network, and that it can be trained on such crops.

    Raises:
        UserError: a field that has no such choice or is out of range.
    """
    if config.trunk_normalization not in NORMALIZATIONS:
        choices = ", ".join(NORMALIZATIONS)
        raise UserError(f"config.trunk_normalization: {config.trunk_normalization!r} is none of {choices}")
    if not LEAST_WIDTH <= config.width <= MOST_WIDTH:
        raise UserError(f"config.width: {config.width} is not from {LEAST_WIDTH} to {MOST_WIDTH:g}, VGG-16's own")
    if config.trunk_weights and config.width != 1:
        raise UserError(f"config.trunk_weights: fit the published network only, and config.width is {config.width:g}")
    if config.crop_size < STRIDE or config.crop_size % STRIDE:
        raise UserError(f"config.crop_size: {config.crop_size} is no multiple of {STRIDE} pixels")
    if config.orientations != 1:
        raise UserError(f"config.orientations: {config.orientations}, but {config.method} looks once; set 1")


def loss(network: MFCN, normalization: str, table: ImageTable, *, augment: bool) -> Loss:
    """Cross entropy of the surface plus, where there is an edge decoder, that of the edge.

    Args:
        network: what is trained.
        normalization: see `losses.weighted_cross_entropy`.
        table: the training data, whose frequencies weigh the classes.
        augment: whether crops are turned at random.
    """
    outputs = {"surface": SPLICED} | ({"edge": EDGE} if network.edge else {})
    weights = {name: median_frequency_weights(table.class_counts(bit)) for name, bit in outputs.items()}

    def of_batch(variables: Variables, batch: Mapping[str, Array], key: Array, axis_name: str | None) -> Any:
        images, targets = batch["images"], batch["targets"]
        turning, dropout = jax.random.split(key)
        if augment:
            turned = dihedral(example_keys(turning, len(images), axis_name), images, targets)
            images, targets = turned["patches"], turned["masks"]
        scores, updates = network.clone(axis_name=axis_name).apply(
            variables, images, train=True, rngs={"dropout": dropout}, mutable=["batch_stats"]
        )
        terms = {
            name: weighted_cross_entropy(
                getattr(scores, name), (targets & bit) // bit, jnp.asarray(weights[name]), normalization, axis_name
            )
            for name, bit in outputs.items()
        }
        total = sum(terms.values(), jnp.zeros(()))
        scalars = {"loss/total": total} | {f"loss/{name}": term for name, term in terms.items()}
        return total, (updates["batch_stats"], scalars)

    return of_batch


@functools.partial(jax.jit, static_argnames="network")
def _probabilities(network: MFCN, variables: Variables, image: Array) -> Array:
    """The surface's and, where there is one, the edge's: [decoders, height, width]."""
    scores: Any = network.apply(variables, image[None])
    return jnp.stack([jnp.exp(score[0, ..., 1]) for score in scores if score is not None])


class MfcnLocalizer(NetworkLocalizer):
    """Runs the network on the whole image, continued by its last row and column to multiples of `BUCKET`.

    At most (`WINDOW` / `BUCKET`)² sizes are ever compiled. A larger image is covered by overlapping windows, whose maps
    are averaged where they overlap.
    """

    def __init__(self, name: str, network: MFCN, variables: Variables, *, refine: Refine | None = None) -> None:
        """Puts the variables on the first device.

        Args:
            name: of the row: `sfcn` and `mfcn` show the surface, `mfcn_edge` the surface within closed edges.
            network: the network, for `mfcn_edge` one with an edge decoder.
            variables: its Flax variables.
            refine: the CRF; None for none.
        """
        super().__init__(name, variables, refine=refine)
        self.network = network

    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> Found:
        """Localizes the spliced region of one RGB image of any size."""
        maps = self.maps(image)
        probability = within_edges(*maps) if self.name == "mfcn_edge" else maps[0]
        if self.refine is not None:
            probability = self.refine(image, probability)
        return Found(probability, probability >= 0.5)

    def maps(self, image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "decoders height width"]:
        """The probabilities of the spliced surface and, where there is an edge decoder, of its edge."""
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
    """Evenly spread windows of at most `WINDOW` pixels that cover a side and overlap by `OVERLAP` at least.

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
    """The surface's probabilities inside of closed edges and 0 elsewhere, so that 0.5 gives the masks' intersection.

    The edge map is cut at 0.5 and its holes are filled. Where no contour closes around `LEAST_HOLE` pixels, or none
    around anything of the surface, the surface is returned as it is.
    """
    contour = edge >= 0.5
    holes = _large(ndimage.binary_fill_holes(contour) & ~contour)
    inside = contour | holes
    if not holes.any() or not (inside & (surface >= 0.5)).any():
        return surface
    return np.where(inside, surface, np.float32(0))


def _large(mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Without components of fewer than `LEAST_HOLE` pixels."""
    components, _ = ndimage.label(mask)
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    return sizes[components] >= LEAST_HOLE
