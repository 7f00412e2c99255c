import time

import numpy as np
import pytest
from scipy import ndimage
from sklearn.metrics import f1_score, jaccard_score, matthews_corrcoef, roc_auc_score

from splice_jax.evaluation.scores.image import HALF_STEP, STEPS, counts_at_steps, score_image, survey, threshold_of
from splice_jax.metrics import boundary_band, quantize


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
        attained = reference(mask.ravel(), levels.ravel() / 65535 >= getattr(found.best_thresholds, score))
        assert attained == pytest.approx(best)
    assert found.auc == pytest.approx(roc_auc_score(mask.ravel(), levels.ravel()))
    assert found.spliced_share == mask.mean()


def test_steps_are_thresholds() -> None:
    assert (threshold_of(0), threshold_of(1), threshold_of(STEPS - 1)) == (np.inf, 1.0, 0.0)
    assert threshold_of(HALF_STEP) >= 0.5 > threshold_of(HALF_STEP + 1)
    levels, mask = example(1)
    for step in (0, 1, 20000, HALF_STEP, STEPS - 1):
        (tp, fp, fn, tn) = counts_at_steps(levels, mask, np.array([step]))[0]
        predicted = levels / 65535 >= threshold_of(step)
        assert (tp, fp) == (np.sum(predicted & mask), np.sum(predicted & ~mask))
        assert (fn, tn) == (np.sum(~predicted & mask), np.sum(~predicted & ~mask))


def test_sums_hold_every_steps_mean_and_the_better_polarity_of_each_image() -> None:
    surveyed = [survey(*example(seed)) for seed in range(3)]
    total = surveyed[0][1]
    for _, sums, _ in surveyed[1:]:
        total.add(sums)
    step = 30000
    f1, f1_either = 0.0, 0.0
    for levels, mask in map(example, range(3)):
        predicted = (levels >= 65536 - step).ravel()
        given, opposite = (f1_score(mask.ravel(), guess) for guess in (predicted, ~predicted))
        f1, f1_either = f1 + given, f1_either + max(given, opposite)
    assert total.images == 3
    assert total.scores[0, 0, step] == pytest.approx(f1)
    assert total.scores[1, 0, step] == pytest.approx(f1_either)


def test_ground_truth_scores_1_and_its_inverse_does_only_turned_round() -> None:
    _, mask = example(0)
    right, wrong = (score_image(quantize(map_.astype(np.float32)), mask) for map_ in (mask, ~mask))
    assert [tuple(scores) for scores in right.at.values()] == [(1, 1, 1), (1, 1, 1)]
    assert tuple(wrong.at["0.5"]) == (0, -1, 0)
    assert wrong.at["best-per-image"].mcc == 0
    assert wrong.best[0, 1].tolist() == right.best[0, 0].tolist()


@pytest.mark.parametrize("level", [0, 1, 40000, 65535])
def test_a_constant_map_has_mcc_0_under_every_step(level: int) -> None:
    _, mask = example(0)
    scores, sums, _ = survey(np.full(mask.shape, level, np.uint16), mask)
    assert (sums.scores[:, 1] == 0).all()
    assert scores.auc == 0.5


def test_an_image_without_splice_is_refused() -> None:
    with pytest.raises(ValueError, match="no localization score"):
        score_image(np.zeros((2, 2), np.uint16), np.zeros((2, 2), bool))


def test_the_histogram_keeps_every_pixel_and_nearly_the_auc() -> None:
    random = np.random.default_rng(0)
    mask = random.random((80, 90)) < 0.3
    levels = quantize(1 / (1 + np.exp(-4 * random.normal(mask * 1.5 - 1, 1))))
    found, _, (host, spliced) = survey(levels, mask)
    assert (host.sum(), spliced.sum()) == (np.sum(~mask), np.sum(mask))
    area = np.trapezoid(np.append(0, spliced.cumsum()), np.append(0, host.cumsum())) / (host.sum() * spliced.sum())
    assert area == pytest.approx(found.auc, abs=1e-4)


def test_an_ignored_border_leaves_out_what_lies_near_the_boundary() -> None:
    mask = np.zeros((30, 40), bool)
    mask[10:20, 10:25] = True
    distance = np.where(mask, *(ndimage.distance_transform_cdt(kind, "chessboard") for kind in (mask, ~mask)))
    np.testing.assert_array_equal(boundary_band(mask, 2), distance <= 2)
    levels = quantize(np.random.default_rng(0).random(mask.shape))
    kept = distance > 2
    found, *_ = survey(levels, mask, ignore_border=2)
    assert found.half.sum() == kept.sum()
    assert found.at["0.5"].f1 == pytest.approx(f1_score(mask[kept], levels[kept] >= 32768))
    with pytest.raises(ValueError, match="ignored border"):
        survey(levels, mask, ignore_border=5)


def test_a_three_megapixel_map_is_surveyed_in_under_half_a_second() -> None:
    random = np.random.default_rng(0)
    levels = random.integers(0, 65536, (1536, 2048), dtype=np.uint16)
    mask = random.random(levels.shape) < 0.2
    started = time.process_time()
    survey(levels, mask)
    counts_at_steps(levels, mask, np.arange(0, STEPS, 5000))
    assert time.process_time() - started < 0.8
