"""Which quality a JPEG's quantization tables stand for."""

from typing import NamedTuple

import numpy as np

from splice_jax.examination.file.jpeg_structure import Table
from splice_jax.jpeg import STANDARD_CHROMA_TABLE, STANDARD_TABLE, scaled_table


class Quality(NamedTuple):
    """How near a table is to the standard's example at one quality."""

    quality: int
    """1 … 100, on the scale of libjpeg; 100 is the finest."""
    exact: bool
    """Whether the table is that quality's, step by step; else it is only the nearest."""


def estimate(table: Table, *, chroma: bool = False, known: np.ndarray | None = None) -> Quality:
    """The quality at which the standard's table is most like this one, by the mean distance of their logarithms.

    Args:
        table: steps, [vertical] [horizontal] frequency.
        chroma: whether it is a table of chroma.
        known: which steps count, bool [8, 8], at least one; None for all.
    """
    known = np.ones((8, 8), bool) if known is None else known
    steps = np.maximum(np.array(table, np.uint16), 1)
    standard = STANDARD_CHROMA_TABLE if chroma else STANDARD_TABLE
    choices = np.stack([scaled_table(standard, quality) for quality in range(1, 101)])
    distances = np.abs(np.log(choices) - np.log(steps)).mean(axis=(1, 2), where=known)
    nearest = int(distances.argmin())
    return Quality(nearest + 1, bool((choices[nearest] == steps).all(where=known)))
