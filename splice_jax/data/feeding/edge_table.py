"""Training data of the method `camera_response`: memory-mapped histograms of forged and authentic edges."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int32, UInt8
from scipy import ndimage
from tqdm import tqdm

from splice_jax.data import Example
from splice_jax.data.feeding.edges import BINS, find_edges
from splice_jax.data.feeding.tables import make_once, open_columns, wrap
from splice_jax.errors import UserError

COLUMNS = ("histograms", "labels")
FORGED_WITHIN = 2.0
"""Pixels from the mask's boundary."""
AUTHENTIC_BEYOND = 8.0
MOST_PER_IMAGE = 128
"""Edges of each kind taken from an image, drawn at random if it has more."""


@dataclass(frozen=True, eq=False)
class EdgeTable:
    """n edges."""

    histograms: UInt8[np.ndarray, "n 28 28"]
    """See `edges.Edges`."""
    labels: UInt8[np.ndarray, " n"]
    """1 = forged."""


def boundary_distance(mask: Bool[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """Distance from each pixel's centre to the mask's boundary, in pixels; infinite if there is none."""
    if mask.all() or not mask.any():
        return np.full(mask.shape, np.inf)
    return np.where(mask, ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)) - 0.5


def edge_labels(mask: Bool[np.ndarray, "height width"], positions: Int32[np.ndarray, "n 2"]) -> Int32[np.ndarray, " n"]:
    """1 for forged edges, 0 for authentic ones, -1 for those in between."""
    distance = boundary_distance(mask)[tuple(positions.T)]
    return np.select([distance <= FORGED_WITHIN, distance >= AUTHENTIC_BEYOND], [1, 0], -1).astype(np.int32)


def build_table(examples: Sequence[Example], folder: Path) -> EdgeTable:
    """Writes the edges of all images into `folder` and memory-maps them; an existing table is reused.

    Args:
        examples: images and masks; read once, one at a time.
        folder: where the table goes; its name should identify what it is made from.

    Raises:
        UserError: one of the two kinds of edges is missing.
    """
    make_once(folder, functools.partial(_write, examples))
    return EdgeTable(**open_columns(folder, COLUMNS))


def _write(examples: Sequence[Example], folder: Path) -> None:
    folder.mkdir(parents=True)
    labels: list[np.ndarray] = []
    with open(folder / "histograms.raw", "wb") as file:
        for number, example in enumerate(tqdm(examples, desc="finding edges", unit="image", disable=None)):
            edges = find_edges(example.image)
            of_image = edge_labels(example.mask, edges.positions)
            chosen = _chosen(of_image, np.random.default_rng(number))
            file.write(edges.histograms[chosen].tobytes())
            labels.append(of_image[chosen].astype(np.uint8))
    together = np.concatenate(labels)
    for label, kind in enumerate(("authentic", "forged")):
        if not (together == label).any():
            raise UserError(f"{folder.name}: no {kind} edge in the training images; give some with clear edges")
    wrap(folder / "histograms.raw", (len(together), BINS, BINS))
    np.save(folder / "labels.npy", together)


def _chosen(labels: Int32[np.ndarray, " n"], random: np.random.Generator) -> Int32[np.ndarray, " m"]:
    """At most `MOST_PER_IMAGE` edges of each kind."""
    kinds = [np.flatnonzero(labels == label) for label in (0, 1)]
    return np.concatenate([random.permutation(kind)[:MOST_PER_IMAGE] for kind in kinds])


class OneEdge:
    """Looks up an edge by number: histograms uint8 [28, 28], labels int32, 1 = forged."""

    def __init__(self, table: EdgeTable) -> None:
        self._table = table

    def __call__(self, element: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Nothing is random."""
        return {
            "histograms": self._table.histograms[element],
            "labels": np.int32(self._table.labels[element]),
        }
