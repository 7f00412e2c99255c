"""What the rows without training do on authentic photographs: they mark something in nearly all of them.

`authentic.json` holds, for each row, what it found in photographs in which nothing was spliced; tools/authentic_rows.py
measures it. A row's map has no common scale, so photographs are compared by how clearly the marked part stands apart.
"""

import functools
import json
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

from splice_jax.methods.localizer import Found

FILE_NAME = "authentic.json"
QUANTILES = 101


class Authentic(NamedTuple):
    """How a row's map compares with those of authentic photographs."""

    photographs: int
    """Authentic photographs that the row could judge."""
    marked: int
    """Of these, how many it marked something in."""
    as_clear: float
    """Share of them in which the marked part stands apart at least as clearly as here."""


def separation(found: Found) -> float:
    """How clearly the marked part stands apart: the share of the map's variance that lies between it and the rest.

    In [0, 1], as in Otsu's threshold; 0 where nothing or everything is marked.
    """
    share = float(found.mask.mean())
    variance = float(found.probability.var(dtype=np.float64))
    if not 0 < share < 1 or not variance:
        return 0.0
    inside = float(found.probability[found.mask].mean(dtype=np.float64))
    outside = float(found.probability[~found.mask].mean(dtype=np.float64))
    return min(1.0, share * (1 - share) * (inside - outside) ** 2 / variance)


def summarize(separations: list[float]) -> dict[str, Any]:
    """What `authentic.json` holds of one row, given its separations on authentic photographs."""
    quantiles = np.quantile(separations, np.linspace(0, 1, QUANTILES), method="inverted_cdf")
    marked = int(np.count_nonzero(separations))
    return {"photographs": len(separations), "marked": marked, "separation": [round(float(q), 4) for q in quantiles]}


def compare(row: str, found: Found) -> Authentic | None:
    """Compares what a row found with authentic photographs; None for a row that was not measured."""
    known = _known().get(row)
    if known is None:
        return None
    below = np.searchsorted(known["separation"], round(separation(found), 4), side="left")
    return Authentic(known["photographs"], known["marked"], float(1 - below / QUANTILES))


@functools.cache
def _known() -> dict[str, Any]:
    text = resources.files("splice_jax.examination").joinpath(FILE_NAME).read_text(encoding="utf-8")
    rows: dict[str, Any] = json.loads(text)["rows"]
    return rows
