import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score, jaccard_score, matthews_corrcoef, roc_auc_score

from splice_jax.evaluation import protocol
from splice_jax.evaluation.protocol import HEADLINE, Convention, score_image, summarize
from splice_jax.metrics import quantize


def example(seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    mask = random.random((12, 15)) < 0.3
    return quantize(np.clip(random.random(mask.shape) + 0.3 * mask, 0, 1)), mask


def test_scores_of_an_image_equal_scikit_learn() -> None:
    levels, mask = example(0)
    found = score_image(levels, mask)
    predictions = [levels / 65535 >= threshold for threshold in [*np.unique(levels / 65535), np.inf]]
    for score, reference in (("f1", f1_score), ("mcc", matthews_corrcoef), ("iou", jaccard_score)):
        best = max(reference(mask.ravel(), prediction.ravel()) for prediction in predictions)
        assert getattr(found.at["best-per-image"], score) == pytest.approx(best)
        assert getattr(found.at["0.5"], score) == pytest.approx(reference(mask.ravel(), levels.ravel() >= 32768))
        attained = reference(mask.ravel(), levels.ravel() / 65535 >= getattr(found.best, score))
        assert attained == pytest.approx(best)
    assert found.auc == pytest.approx(roc_auc_score(mask.ravel(), levels.ravel()))
    assert found.spliced_share == mask.mean()


def test_ground_truth_scores_1_and_its_inverse_does_not() -> None:
    _, mask = example(0)
    right, wrong = (score_image(quantize(map_.astype(np.float32)), mask) for map_ in (mask, ~mask))
    assert [tuple(scores) for scores in right.at.values()] == [(1, 1, 1), (1, 1, 1)]
    assert tuple(wrong.at["0.5"]) == (0, -1, 0)
    assert wrong.at["best-per-image"].mcc == 0
    share = mask.mean()
    assert wrong.at["best-per-image"].f1 == pytest.approx(2 * share / (1 + share))


def test_an_image_without_splice_is_refused() -> None:
    with pytest.raises(ValueError, match="no localization score"):
        score_image(np.zeros((2, 2), np.uint16), np.zeros((2, 2), bool))


def test_a_summary_is_the_mean_over_images_in_the_words_of_the_schema() -> None:
    images = [score_image(*example(seed)) for seed in range(5)]
    headline, half = summarize(images, seed=0)
    assert list(headline) == ["threshold", "average", "polarity", "f1", "f1_ci95", "mcc", "mcc_ci95", "iou", "auc"]
    assert (headline["threshold"], headline["average"], headline["polarity"]) == ("best-per-image", "images", "given")
    assert (half["threshold"], half["average"], half["polarity"]) == ("0.5", "images", "given")
    assert headline["f1"] == pytest.approx(np.mean([image.at["best-per-image"].f1 for image in images]))
    assert half["mcc"] == pytest.approx(np.mean([image.at["0.5"].mcc for image in images]))
    assert half["auc"] == headline["auc"] == pytest.approx(np.mean([image.auc for image in images]))
    assert headline["f1_ci95"][0] < headline["f1"] < headline["f1_ci95"][1]
    assert protocol.find([headline, half], Convention("0.5")) is half


def test_an_undefined_auc_is_left_out_of_its_mean() -> None:
    full = score_image(np.zeros((3, 3), np.uint16), np.ones((3, 3), bool))
    other = score_image(*example(0))
    assert summarize([full], seed=0)[0]["auc"] is None
    assert summarize([full, other], seed=0)[0]["auc"] == pytest.approx(other.auc)


def test_the_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).random(30)
    low, high = protocol.bootstrap_interval(values, seed=1)
    reference = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20000, rng=0)
    assert low == pytest.approx(reference.confidence_interval.low, abs=0.005)
    assert high == pytest.approx(reference.confidence_interval.high, abs=0.005)


def test_the_interval_repeats_with_its_seed_and_shrinks_to_a_constant() -> None:
    values = np.random.default_rng(0).random(30)
    assert protocol.bootstrap_interval(values, seed=1) == protocol.bootstrap_interval(values, seed=1)
    assert protocol.bootstrap_interval(values, seed=1) != protocol.bootstrap_interval(values, seed=2)
    assert protocol.bootstrap_interval(np.array([0.5]), seed=0) == [0.5, 0.5]


def test_the_headline_is_named_in_full() -> None:
    assert str(HEADLINE) == "at the best threshold per image (oracle), given polarity, mean over images"
