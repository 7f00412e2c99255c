import functools
import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score, jaccard_score, matthews_corrcoef, roc_auc_score

from splice_jax.evaluation.scores.conventions import CONVENTIONS, HEADLINE, Convention, find
from splice_jax.evaluation.scores.image import Sums, counts_at_steps, survey
from splice_jax.evaluation.scores.row import RowScores, differences, distinct_steps, shared_steps
from splice_jax.metrics import quantize

REFERENCES = {"f1": f1_score, "mcc": matthews_corrcoef, "iou": jaccard_score}
Pair = tuple[np.ndarray, np.ndarray]


def pairs(seed: int, *, signal: float = 0.25, images: int = 4) -> list[Pair]:
    """Maps of few levels, so that every threshold can be tried; one of them is inverted."""
    random = np.random.default_rng(seed)
    found = []
    for index in range(images):
        mask = random.random((9, 8 + index)) < 0.2 + 0.1 * index
        probability = np.clip(random.random(mask.shape) + (-signal if index == 2 else signal) * (2 * mask - 1), 0, 1)
        found.append((quantize(np.round(probability * 6) / 6), mask))
    return found


def row(images: list[Pair], validation: list[Pair] | None = None) -> RowScores:
    sums = total(images)
    shared = shared_steps(sums, total(validation) if validation else None)
    counts = np.stack([counts_at_steps(*pair, distinct_steps(shared)) for pair in images])
    scores, _, histograms = zip(*(survey(*pair) for pair in images), strict=True)
    return RowScores(scores, sums, shared, counts, list(map(str, range(len(images)))), np.stack(histograms))


def total(images: list[Pair]) -> Sums:
    result = Sums.zero()
    for pair in images:
        result.add(survey(*pair)[1])
    return result


def by_brute_force(convention: Convention, score: str, images: list[Pair], validation: list[Pair]) -> float:
    """Tries every threshold and polarity as the convention says, with scikit-learn."""
    thresholds = [*(np.arange(7) / 6 * 65535).round(), 70000]
    reference = REFERENCES[score]

    def values(of: list[Pair], threshold: Any, turned: bool) -> list[float]:
        return [reference(m.ravel(), ((p >= t) != turned).ravel()) for (p, m), t in zip(of, threshold, strict=True)]

    def pooled(threshold: Any, turned: bool) -> float:
        guess = [((p >= t) != turned).ravel() for (p, _), t in zip(images, threshold, strict=True)]
        return reference(np.concatenate([m.ravel() for _, m in images]), np.concatenate(guess))

    def averaged(own: Any) -> float:
        sides = [False, True] if convention.polarity == "oracle" else [False]
        if convention.average == "pooled":
            return max(pooled(own[turned], turned) for turned in sides)
        return float(np.mean(np.max([values(images, own[turned], turned) for turned in sides], axis=0)))

    def same(threshold: float) -> Any:
        return [[threshold] * len(images)] * 2

    if convention.threshold == "0.5":
        return averaged(same(32768))
    if convention.threshold == "validation":
        means = [np.mean(values(validation, [t] * len(validation), False)) for t in thresholds[::-1]]
        return averaged(same(thresholds[::-1][int(np.argmax(means))]))
    if convention.threshold == "best-per-dataset":
        return max(averaged(same(threshold)) for threshold in thresholds)
    own = [
        [max(thresholds[::-1], key=lambda t: values([pair], [t], turned)[0]) for pair in images]
        for turned in (False, True)
    ]
    return averaged(own)


@functools.cache
def entries_of_one_inverted() -> list[dict[str, Any]]:
    return row(pairs(0), pairs(1, images=3)).entries(seed=0)


@pytest.mark.parametrize("convention", CONVENTIONS, ids=str)
@pytest.mark.parametrize("score", REFERENCES)
@pytest.mark.filterwarnings("ignore:.*(single label|zero).*")
def test_every_convention_equals_a_search_over_all_thresholds(convention: Convention, score: str) -> None:
    images, validation = pairs(0), pairs(1, images=3)
    entry = find(entries_of_one_inverted(), convention)
    assert entry[score] == pytest.approx(by_brute_force(convention, score, images, validation), abs=1e-12)
    low, high = entry[f"{score}_ci95"]
    assert low <= high


def test_auc_is_averaged_or_pooled_and_turned_round_by_an_oracle() -> None:
    images = pairs(0)
    entries = row(images).entries(seed=0)
    areas = np.array([roc_auc_score(mask.ravel(), levels.ravel()) for levels, mask in images])
    assert (areas < 0.5).any()
    pooled = roc_auc_score(*(np.concatenate([pair[kind].ravel() for pair in images]) for kind in (1, 0)))
    assert find(entries, HEADLINE)["auc"] == pytest.approx(areas.mean())
    oracle = find(entries, Convention("0.5", "images", "oracle"))
    assert oracle["auc"] == pytest.approx(np.maximum(areas, 1 - areas).mean())
    entry = find(entries, Convention("0.5", "pooled"))
    assert entry["auc"] == pytest.approx(pooled)

    def resampled(drawn: np.ndarray) -> float:
        return float(roc_auc_score(*(np.concatenate([images[i][kind].ravel() for i in drawn]) for kind in (1, 0))))

    reference = stats.bootstrap(
        (np.arange(4),), resampled, vectorized=False, n_resamples=400, method="percentile", rng=0
    )
    assert entry["auc_ci95"] == pytest.approx(list(reference.confidence_interval), abs=0.04)


def test_truth_scores_1_everywhere_its_inverse_only_in_the_oracle_polarity_columns() -> None:
    masks = [mask for _, mask in pairs(0)]
    truth = [(quantize(mask.astype(float)), mask) for mask in masks]
    inverse = [(quantize(1.0 - mask), mask) for mask in masks]
    for entry in row(truth, truth).entries(seed=0):
        assert [entry[score] for score in ("f1", "mcc", "iou", "auc")] == [1, 1, 1, 1]
    entries = row(inverse, truth).entries(seed=0)
    assert len(entries) == 16
    for entry in entries:
        perfect = [entry[score] == 1 for score in ("f1", "mcc", "iou", "auc")]
        # The validation threshold comes from the truth's own maps; it separates these as well, turned round.
        assert perfect == [entry["polarity"] == "oracle"] * 4, entry


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_constant_map_has_mcc_0_under_every_convention(value: float) -> None:
    images = [(np.full(mask.shape, round(value * 65535), np.uint16), mask) for _, mask in pairs(0)]
    for entry in row(images, images).entries(seed=0):
        assert entry["mcc"] == 0
        assert entry["auc"] == pytest.approx(0.5)


def test_an_oracle_is_never_below_what_it_knows_more_than() -> None:
    scores = {}
    for entry in entries_of_one_inverted():
        scores[Convention(entry["threshold"], entry["average"], entry["polarity"])] = entry
    for convention, score in itertools.product(CONVENTIONS, REFERENCES):
        given = scores[Convention(convention.threshold, convention.average)]
        assert scores[convention][score] >= given[score]
    for polarity, score in itertools.product(("given", "oracle"), REFERENCES):
        per_image, per_dataset, half = (
            scores[Convention(threshold, "images", polarity)][score]
            for threshold in ("best-per-image", "best-per-dataset", "0.5")
        )
        assert per_image >= per_dataset >= half


def test_without_validation_images_the_convention_is_absent_and_the_keys_are_those_of_the_schema() -> None:
    entries = row(pairs(0)).entries(seed=0)
    assert {entry["threshold"] for entry in entries} == {"best-per-image", "0.5", "best-per-dataset"}
    keys = [
        "threshold",
        "average",
        "polarity",
        "f1",
        "f1_ci95",
        "mcc",
        "mcc_ci95",
        "iou",
        "auc",
        "iou_ci95",
        "auc_ci95",
    ]
    assert all(list(entry)[:11] == keys for entry in entries)
    shared = [entry for entry in entries if entry["threshold"] == "best-per-dataset"]
    assert all(0 <= entry[f"{score}_threshold"] < 1.1 for entry in shared for score in REFERENCES)


def test_an_undefined_auc_is_left_out_of_its_mean() -> None:
    full = (np.zeros((3, 3), np.uint16), np.ones((3, 3), bool))
    alone = row([full]).entries(seed=0)
    assert [alone[0]["auc"], alone[0]["auc_ci95"]] == [None, None]
    pair = pairs(0)[0]
    assert row([full, pair]).entries(seed=0)[0]["auc"] == pytest.approx(roc_auc_score(pair[1].ravel(), pair[0].ravel()))


def test_differences_are_paired() -> None:
    first, second = row(pairs(0, images=12)), row(pairs(0, signal=0.1, images=12))
    found = differences({"a": first, "b": second, "a again": first}, seed=0)
    assert [(each["row"], each["other"], each["threshold"]) for each in found][:3] == [
        ("a", "b", "best-per-image"),
        ("a", "b", "0.5"),
        ("a", "a again", "best-per-image"),
    ]
    values = first.values(HEADLINE, "f1") - second.values(HEADLINE, "f1")
    assert found[0]["f1"] == pytest.approx(values.mean())
    reference = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=2000, rng=0).confidence_interval
    assert found[0]["f1_ci95"] == pytest.approx([reference.low, reference.high], rel=1e-9)
    assert (found[2]["mcc"], found[2]["mcc_ci95"]) == (0, [0, 0])


def test_curves_are_the_mean_scores_at_their_thresholds() -> None:
    images = pairs(0)
    curves = row(images).curves()
    guess = [levels / 65535 >= 0.3 for levels, _ in images]
    f1 = np.mean([f1_score(mask.ravel(), g.ravel()) for (_, mask), g in zip(images, guess, strict=True)])
    assert curves["images"]["f1"][60] == pytest.approx(f1, abs=1e-6)
    flat_mask, flat_guess = (np.concatenate([a.ravel() for a in of]) for of in ([m for _, m in images], guess))
    assert curves["pooled"]["mcc"][60] == pytest.approx(matthews_corrcoef(flat_mask, flat_guess), abs=1e-6)
    assert curves["pooled_roc"]["true_positive_rate"][60] == pytest.approx(flat_guess[flat_mask].mean(), abs=1e-6)
    assert curves["pooled_roc"]["false_positive_rate"][0] == 1
