"""How scores are distributed over all images: the histograms of every row, however many images the report shows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from splice_jax.evaluation.scores.conventions import HALF, HEADLINE, SCORES
from splice_jax.evaluation.scores.row import RowScores

BINS = 25


def distributions(rows: Mapping[str, RowScores]) -> dict[str, dict[str, Any]]:
    """By threshold and number of the score in `SCORES`, as in `best.0`, and for `auc`.

    Each has `low`, where its first bin begins (the last ends at 1), and by row `counts`, `mean` and `median`; null for
    a row without a score.
    """
    found = {"auc": {row: np.array([image.auc for image in scores.images]) for row, scores in rows.items()}}
    for at, convention in (("best", HEADLINE), ("half", HALF)):
        for place, name in enumerate(SCORES):
            found[f"{at}.{place}"] = {
                row: scores.values(convention, name) if scores.images else np.empty(0) for row, scores in rows.items()
            }
    return {kind: _over_rows(values) for kind, values in found.items()}


def _over_rows(values: Mapping[str, Float[np.ndarray, " images"]]) -> dict[str, Any]:
    known = {row: each[~np.isnan(each)] for row, each in values.items()}
    low = -1 if any((each < -1e-9).any() for each in known.values()) else 0
    return {"low": low, "rows": {row: _of_row(each, low) for row, each in known.items()}}


def _of_row(values: Float[np.ndarray, " images"], low: int) -> dict[str, Any] | None:
    if not values.size:
        return None
    counts = np.histogram(values.clip(low, 1), BINS, (low, 1))[0]
    return {"counts": counts.tolist(), "mean": float(values.mean()), "median": float(np.median(values))}
