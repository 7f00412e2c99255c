"""Histograms of scores over images."""

from collections.abc import Callable

import numpy as np
import pytest

from splice_jax.evaluation.output.report.distributions import BINS, distributions
from splice_jax.evaluation.scores.conventions import HALF
from splice_jax.evaluation.scores.image import Sums
from splice_jax.evaluation.scores.row import RowScores, shared_steps
from splice_jax.metrics import quantize


def test_every_image_is_in_the_bin_of_its_score(scored: Callable[..., RowScores]) -> None:
    random = np.random.default_rng(0)
    masks = [random.random((8, 9)) < 0.4 for _ in range(12)]
    signals = np.linspace(-0.3, 0.5, len(masks))
    maps = [0.5 * random.random(mask.shape) + 0.3 + signal * mask for mask, signal in zip(masks, signals, strict=True)]
    row = scored([(quantize(each), mask) for each, mask in zip(maps, masks, strict=True)])
    found = distributions({"sgn": row})
    for kind, score, low in (("half.0", "f1", 0), ("half.1", "mcc", -1)):
        assert found[kind]["low"] == low
        values, entry = row.values(HALF, score), found[kind]["rows"]["sgn"]
        width = (1 - low) / BINS
        expected = [
            np.count_nonzero((values >= low + b * width) & (values < low + (b + 1) * width)) for b in range(BINS)
        ]
        expected[-1] += np.count_nonzero(values == 1)
        assert entry["counts"] == expected
        assert (entry["mean"], entry["median"]) == (pytest.approx(values.mean()), pytest.approx(np.median(values)))


def test_a_row_without_a_score_has_no_histogram() -> None:
    nothing = Sums.zero()
    row = RowScores([], nothing, shared_steps(nothing, None), np.empty((0, 1, 4), int), [], np.empty((0, 2, 1), int))
    found = distributions({"adq2": row})
    assert {kind: each["rows"] for kind, each in found.items()} == {kind: {"adq2": None} for kind in found}
