import time
import warnings

import numpy as np
import pytest
import sklearn.metrics as reference
from scipy import stats

from splice_jax import metrics
from splice_jax.metrics import Counts, best_threshold, clopper_pearson, counts_at, curve, quantize

SCORES = {"f1": metrics.f1, "mcc": metrics.mcc, "iou": metrics.iou, "accuracy": metrics.accuracy}


def expected(name: str, mask: np.ndarray, predicted: np.ndarray) -> float:
    truth, guess = mask.ravel(), predicted.ravel()
    if name == "f1":
        return float(reference.f1_score(truth, guess, zero_division=1.0))
    if name == "iou":
        return float(reference.jaccard_score(truth, guess, zero_division=1.0))
    if name == "accuracy":
        return float(reference.accuracy_score(truth, guess))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # scikit-learn's remark that only one label is there
        return float(reference.matthews_corrcoef(truth, guess))


def cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(0)
    smooth, mask = random.random((9, 11)), random.random((9, 11)) < 0.3
    empty, full = np.zeros_like(mask), np.ones_like(mask)
    return {
        "random": (smooth, mask),
        "informative": (np.clip(smooth + 0.3 * mask, 0, 1), mask),
        "ties": (np.round(smooth * 4) / 4, mask),
        "truth": (mask.astype(float), mask),
        "inverse": (1.0 - mask, mask),
        "constant": (np.full(mask.shape, 0.5), mask),
        "zeros": (np.zeros(mask.shape), mask),
        "ones": (np.ones(mask.shape), mask),
        "empty mask": (smooth, empty),
        "empty mask, nothing predicted": (np.zeros(mask.shape), empty),
        "full mask": (smooth, full),
        "one pixel": (np.array([[0.4]]), np.array([[True]])),
    }


@pytest.mark.parametrize("case", cases())
@pytest.mark.parametrize("score", SCORES)
def test_scores_at_a_threshold_equal_scikit_learn(case: str, score: str) -> None:
    probability, mask = cases()[case]
    for threshold in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = SCORES[score](counts_at(probability, mask, threshold))
        assert value == pytest.approx(expected(score, mask, probability >= threshold), abs=1e-12)


@pytest.mark.parametrize("case", cases())
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("quantized", [False, True])
def test_best_threshold_equals_a_search_over_all_values(case: str, score: str, quantized: bool) -> None:
    probability, mask = cases()[case]
    levels = quantize(probability)
    map_ = levels if quantized else probability
    values = levels / 65535 if quantized else probability
    search = {threshold: expected(score, mask, values >= threshold) for threshold in [np.inf, *np.unique(values)]}
    best = best_threshold(map_, mask, SCORES[score])
    assert best.value == pytest.approx(max(search.values()), abs=1e-12)
    assert search[best.threshold] == pytest.approx(best.value, abs=1e-12)


@pytest.mark.parametrize("case", cases())
@pytest.mark.parametrize("quantized", [False, True])
def test_the_curve_holds_the_counts_of_every_threshold(case: str, quantized: bool) -> None:
    probability, mask = cases()[case]
    map_ = quantize(probability) if quantized else probability
    whole = curve(map_, mask)
    assert whole.thresholds[0] == np.inf
    assert (np.diff(whole.thresholds) < 0).all()
    for threshold in (-1.0, 0.0, 0.1, 0.25, 0.5, 0.500001, 1.0, 2.0):
        assert whole.at(threshold) == counts_at(map_, mask, threshold)


@pytest.mark.parametrize("case", cases())
@pytest.mark.parametrize("quantized", [False, True])
def test_auc_equals_scikit_learn(case: str, quantized: bool) -> None:
    probability, mask = cases()[case]
    area = metrics.auc(quantize(probability) if quantized else probability, mask)
    if mask.all() or not mask.any():
        assert np.isnan(area)
    else:
        assert area == pytest.approx(
            reference.roc_auc_score(mask.ravel(), probability.ravel()), abs=1e-4 * quantized + 1e-12
        )


def test_perfect_and_constant_maps() -> None:
    mask = np.arange(20).reshape(4, 5) < 7
    assert metrics.f1(counts_at(mask.astype(float), mask, 0.5)) == 1
    assert metrics.mcc(counts_at(mask.astype(float), mask, 0.5)) == 1
    assert metrics.mcc(counts_at(1.0 - mask, mask, 0.5)) == -1
    assert best_threshold(np.full((4, 5), 0.3), mask, metrics.mcc).value == 0
    share = 7 / 20
    assert best_threshold(np.full((4, 5), 0.3), mask, metrics.f1).value == pytest.approx(2 * share / (1 + share))


def test_counts_by_hand_and_a_probability_on_the_threshold_is_spliced() -> None:
    probability = np.array([[0.9, 0.5], [0.4, 0.1]], np.float32)
    mask = np.array([[True, False], [True, False]])
    assert tuple(counts_at(probability, mask, 0.5)) == (1, 1, 1, 1)
    assert tuple(counts_at(quantize(probability), mask, 0.5)) == (1, 1, 1, 1)
    assert tuple(counts_at(probability, mask, np.inf)) == (0, 0, 2, 2)


def test_mcc_of_gigapixel_counts_does_not_overflow() -> None:
    counts = Counts(*(np.array([value * 10**9]) for value in (3, 1, 1, 3)))
    assert metrics.mcc(counts)[0] == pytest.approx(0.5)


def test_nan_unequal_shapes_and_wrong_masks_are_refused() -> None:
    mask = np.zeros((2, 2), bool)
    for score in (curve, lambda map_, mask: counts_at(map_, mask, 0.5)):
        with pytest.raises(ValueError, match="NaN"):
            score(np.array([[0.0, np.nan], [0.0, 0.0]]), mask)
        with pytest.raises(ValueError, match="shape"):
            score(np.zeros((2, 3)), mask)
        with pytest.raises(ValueError, match="boolean"):
            score(np.zeros((2, 2)), mask.astype(np.uint8))
        with pytest.raises(ValueError, match="shape"):
            score(np.zeros((0, 3)), np.zeros((0, 3), bool))
    with pytest.raises(ValueError, match="NaN"):
        quantize(np.array([[np.nan]]))


def test_quantizing_is_rounding_and_keeps_the_side_of_one_half() -> None:
    below = np.nextafter(np.float32(0.5), np.float32(0)) - np.float32(1e-5)
    assert quantize(np.array([[0, 1, 0.5, below, -1, 2]])).tolist() == [[0, 65535, 32768, 32767, 0, 65535]]


def test_a_three_megapixel_map_is_scored_in_well_under_a_second() -> None:
    random = np.random.default_rng(0)
    levels = random.integers(0, 65536, (1536, 2048), dtype=np.uint16)
    mask = random.random(levels.shape) < 0.2
    started = time.process_time()
    whole = curve(levels, mask)
    assert whole.best(metrics.f1).value == pytest.approx(2 * mask.mean() / (1 + mask.mean()), abs=1e-3)
    assert abs(whole.best(metrics.mcc).value) < 0.01
    assert abs(whole.auc() - 0.5) < 0.01
    assert time.process_time() - started < 0.5


def test_16_bits_are_rounded_and_refuse_nan():
    probability = np.array([[0, 0.5, 1, 1.4 / 65535, 1.6 / 65535]], np.float32)
    assert quantize(np.repeat(probability, 600, axis=0))[-1].tolist() == [0, 32768, 65535, 1, 2]
    with pytest.raises(ValueError, match="NaN"):
        quantize(np.where(np.arange(600)[:, None] == 599, np.nan, np.zeros((600, 2), np.float32)))


@pytest.mark.parametrize("successes", [0, 1, 4, 50, 99, 100])
def test_the_interval_is_that_of_scipys_exact_test(successes: int) -> None:
    expected = stats.binomtest(successes, 100).proportion_ci(0.95, "exact")
    assert clopper_pearson(successes, 100) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_interval_covers_at_least_as_often_as_it_says() -> None:
    for share in (0.01, 0.05, 0.3):
        counts = np.arange(61)
        inside = [low <= share <= high for low, high in (clopper_pearson(int(count), 60) for count in counts)]
        assert stats.binom.pmf(counts, 60, share)[inside].sum() >= 0.95


@pytest.mark.parametrize(("successes", "trials"), [(-1, 5), (6, 5), (0, 0)])
def test_what_is_no_share_is_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        clopper_pearson(successes, trials)
