"""Scores of made-up maps, and a made-up scores.json."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from splice_jax.evaluation.rows import row_name
from splice_jax.evaluation.scores.image import Sums, counts_at_steps, survey
from splice_jax.evaluation.scores.row import RowScores, differences, distinct_steps, shared_steps
from splice_jax.metrics import quantize

Pair = tuple[np.ndarray, np.ndarray]


def _scored(images: Sequence[Pair], validation: Sequence[Pair] = ()) -> RowScores:
    sums, chosen_on = Sums.zero(), Sums.zero()
    for pair in images:
        sums.add(survey(*pair)[1])
    for pair in validation:
        chosen_on.add(survey(*pair)[1])
    shared = shared_steps(sums, chosen_on if validation else None)
    counts = np.stack([counts_at_steps(*pair, distinct_steps(shared)) for pair in images])
    scores, _, histograms = zip(*(survey(*pair) for pair in images), strict=True)
    return RowScores(scores, sums, shared, counts, list(map(str, range(len(images)))), np.stack(histograms))


@pytest.fixture(scope="session")
def scored() -> Callable[..., RowScores]:
    """A row of 16-bit maps and masks, and of those on which a threshold is chosen."""
    return _scored


@pytest.fixture(scope="session")
def made_up() -> Callable[..., dict[str, Any]]:
    """The content of a scores.json for rows of given signal, seeds and fields of the configuration."""

    def scores(signals: dict[tuple[str, str], float], *, dataset: str = "folder", **fields: Any) -> dict[str, Any]:
        random = np.random.default_rng(fields.get("seed", 0))
        masks = [random.random((8, 9)) < 0.3 for _ in range(3)]
        rows = {
            key: _scored([(quantize(np.clip(random.random(m.shape) + signal * m, 0, 1)), m) for m in masks])
            for key, signal in signals.items()
        }
        return {
            "dataset": dataset,
            "split": "test",
            "images": 3,
            "authentic_images": 0,
            "config": {"method": "sgn", "seed": 0, "split_seed": 0, "crf": {"iterations": 5}} | fields,
            "commit": "0123abc",
            "rows": [
                {
                    "method": method,
                    "crf": crf,
                    "scores": row.entries(seed=0),
                    "patch_accuracy": {"classification": 0.75, "segmentation": 0.5} if crf == "none" else None,
                    "seconds_per_image": 0.25,
                    "detection": None,
                    "images": 3,
                    "undefined": {},
                }
                for (method, crf), row in rows.items()
            ],
            "validation": {"reason": "there is no such split"},
            "ignore_border": 0,
            "differences": differences({row_name(*key): row for key, row in rows.items()}, seed=0),
        }

    return scores
