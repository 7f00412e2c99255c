"""What the rows without training do on authentic photographs: they mark something in nearly all of them.

`authentic.json` holds, for each row, what it found in photographs in which nothing was spliced; tools/authentic_rows.py
measures it. A row's map has no common scale, so photographs are compared by how clearly the marked part stands apart.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

from splice_jax.methods.localizer import Found

FILE_NAME = "authentic.json"
QUANTILES = 101
RARE = 0.05
"""A row stands out if at most this share of authentic photographs looks as clear to it."""


class Authentic(NamedTuple):
    """How a row's map compares with those of authentic photographs."""

    photographs: int
    """Authentic photographs that the row could judge."""
    marked: int
    """Of these, how many it marked something in."""
    as_clear: float
    """Share of them in which the marked part stands apart at least as clearly as here."""

    @property
    def rare(self) -> bool:
        """Whether the row stands out here: few authentic photographs look like this to it."""
        return self.as_clear <= RARE


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


def summarize(photographs: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """The content of `authentic.json`, given each photograph's separations by row, without undefined rows."""
    names = dict.fromkeys(name for each in photographs for name in each)
    rows = {name: _of_row([each[name] for each in photographs if name in each]) for name in names}
    out = [any(_as_clear(rows[name], value) <= RARE for name, value in each.items() if value) for each in photographs]
    return {"photographs": len(photographs), "standing_out": sum(out), "rows": rows}


def _of_row(separations: list[float]) -> dict[str, Any]:
    quantiles = np.quantile(separations, np.linspace(0, 1, QUANTILES), method="inverted_cdf")
    marked = int(np.count_nonzero(separations))
    return {"photographs": len(separations), "marked": marked, "separation": [round(float(q), 4) for q in quantiles]}


def compare(row: str, found: Found) -> Authentic | None:
    """Compares what a row found with authentic photographs; None for a row that was not measured."""
    known = _known()["rows"].get(row)
    if known is None:
        return None
    return Authentic(known["photographs"], known["marked"], _as_clear(known, separation(found)))


def by_chance() -> float:
    """The share of authentic photographs in which at least one row stands out."""
    return float(_known()["standing_out"] / _known()["photographs"])


def _as_clear(row: Mapping[str, Any], value: float) -> float:
    below = int(np.searchsorted(row["separation"], round(value, 4), side="left"))
    return 1 - below / QUANTILES


@functools.cache
def _known() -> dict[str, Any]:
    text = resources.files("splice_jax.examination").joinpath(FILE_NAME).read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
