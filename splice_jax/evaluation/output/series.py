"""Scores against the strength of degradation: the content of degradations.json."""

from collections.abc import Mapping, Sequence
from typing import Any

from splice_jax.evaluation.maps.degradations import KINDS
from splice_jax.evaluation.scores.conventions import HEADLINE, convention_of
from splice_jax.evaluation.scores.planned import Series


def content(scores: Mapping[str, Any], degraded: Sequence[Series], *, seed: int) -> dict[str, Any]:
    """Every row on undegraded images and under each degradation, under every convention.

    Args:
      scores: the content of scores.json.
      degraded: the rows under each degradation.
      seed: seed of the bootstrap, which draws the same images at every strength.
    """
    conventions = [convention_of(entry) for entry in scores["rows"][0]["scores"]]
    points = [
        {
            "kind": kind,
            "strength": strength,
            "rows": [
                {
                    "method": method,
                    "crf": crf,
                    "scores": row.scores.entries(seed=seed, conventions=conventions),
                    "images": len(row.scores.images),
                    "undefined": row.reasons(),
                }
                for (method, crf), row in rows.items()
            ],
        }
        for (kind, strength), rows in degraded
    ]
    used = dict.fromkeys(each.degradation.kind for each in degraded)
    return {
        "dataset": scores["dataset"],
        "split": scores["split"],
        "images": scores["images"],
        "headline": HEADLINE.__dict__ | {"words": str(HEADLINE)},
        "kinds": {kind: {"title": KINDS[kind].title, "undegraded": KINDS[kind].none} for kind in used},
        "undegraded": [
            {name: row[name] for name in ("method", "crf", "scores", "images", "undefined")} for row in scores["rows"]
        ],
        "degraded": points,
    }
