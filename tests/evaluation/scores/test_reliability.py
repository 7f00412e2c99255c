"""Calibration of image-level scores, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from splice_jax.evaluation.scores.reliability import BINS, _calibration_error, _features, summarize


@pytest.fixture(scope="module")
def made() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    spliced = rng.random(300) < 0.3
    return np.clip(rng.normal(0.35 + 0.3 * spliced, 0.2), 0, 1), spliced


def test_auc_and_balanced_accuracy_are_scikit_learns(made):
    scores, spliced = made
    found = summarize(scores, spliced, seed=0)
    assert found["auc"] == pytest.approx(roc_auc_score(spliced, scores), abs=1e-12)
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(spliced, scores >= 0.5), abs=1e-12)
    for name in ("auc", "balanced_accuracy", "ece"):
        low, high = found[f"{name}_ci95"]
        assert low < found[name] < high


def test_the_error_is_the_weighted_mean_over_bins(made):
    scores, spliced = made
    weight = np.where(spliced, 0.5 / spliced.sum(), 0.5 / (~spliced).sum())
    expected = 0.0
    for bin in range(BINS):
        inside = np.minimum(np.floor(scores * BINS), BINS - 1) == bin
        if inside.any():
            mass = weight[inside].sum()
            mean, share = np.average(scores[inside], weights=weight[inside]), weight[inside & spliced].sum() / mass
            expected += mass * abs(mean - share)
    assert summarize(scores, spliced, seed=0)["ece"] == pytest.approx(expected, abs=1e-6)


def test_by_hand():
    found = summarize(np.array([0.9, 0.9, 0.1, 0.1]), np.array([True, False, False, False]), seed=0)
    # An authentic image weighs a sixth: in the upper bin, 0.5 of 0.5 + 1/6 is spliced.
    assert [line["spliced"] for line in found["bins"]] == [0.0, pytest.approx(0.75)]
    assert [line["images"] for line in found["bins"]] == [2, 2]
    assert found["ece"] == pytest.approx((1 / 3) * 0.1 + (2 / 3) * 0.15, abs=1e-6)


def test_scores_that_mean_what_they_say_have_a_small_error():
    rng = np.random.default_rng(1)
    probability = rng.random(20000)
    features = _features(probability, rng.random(20000) < probability)
    assert _calibration_error(features.sum(axis=0, dtype=float)[None])[0] < 0.02
