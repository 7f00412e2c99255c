import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from sklearn.metrics import log_loss

from splice_jax.losses import (
    binary_cross_entropy,
    median_frequency_weights,
    semi_global_loss,
    smoothness,
    soft_dice,
    weighted_cross_entropy,
)

SPLICED = np.array([0.25, 0.5, 0.8])  # probability of each element
TARGET = np.array([0, 1, 1])
WEIGHTED = -(np.log(0.75) + 5 * np.log(0.5) + 5 * np.log(0.8))  # with weights 1 and 5

LABELS, MASKS = jnp.array([1, 0]), jnp.array([[[1, 1], [1, 0]], [[0, 0], [0, 1]]])
FIELDS: dict[str, Any] = {"class_weights": (1.0, 4.0), "beta": 10.0, "smooth": 0.5}
compiled_loss = jax.jit(semi_global_loss, static_argnames=("class_weights", "normalization"))


def log_probability(spliced: np.ndarray | jax.Array) -> jax.Array:
    with np.errstate(divide="ignore"):
        return jnp.asarray(np.log(np.stack([1 - spliced, spliced], -1)), jnp.float32)


@pytest.mark.parametrize(("normalization", "divisor"), [("count", 3), ("weight", 11)])
@pytest.mark.parametrize("transform", [lambda function: function, jax.jit])
def test_weighted_cross_entropy_by_hand(normalization, divisor, transform) -> None:
    loss = transform(functools.partial(weighted_cross_entropy, normalization=normalization))
    value = loss(log_probability(SPLICED), jnp.asarray(TARGET), jnp.array([1.0, 5.0]))
    assert value == pytest.approx(WEIGHTED / divisor, rel=1e-6)


def test_equal_weights_of_one_are_the_mean_negative_log_likelihood_either_way() -> None:
    likelihoods = np.array([0.75, 0.5, 0.8])
    for normalization in ("count", "weight"):
        value = weighted_cross_entropy(log_probability(SPLICED), jnp.asarray(TARGET), jnp.ones(2), normalization)
        assert value == pytest.approx(-np.log(likelihoods).mean(), rel=1e-6)


def test_unknown_normalization_is_refused() -> None:
    with pytest.raises(ValueError, match="loss.normalization: 'mean' is neither of count, weight"):
        weighted_cross_entropy(log_probability(SPLICED), jnp.asarray(TARGET), jnp.ones(2), "mean")


def test_smoothness_by_hand() -> None:
    mask = np.array([[[0.1, 0.3], [0.5, 0.7]], [[1.0, 0.0], [0.0, 0.0]]])
    label = np.array([0.9, 0.05])
    expected = ((0.9 - 0.4) + (0.25 - 0.05)) / 2
    assert smoothness(log_probability(mask), log_probability(label)) == pytest.approx(expected, rel=1e-5)


def test_smoothness_is_zero_where_the_heads_agree() -> None:
    mask = np.array([[[0.25, 0.75], [0.5, 0.5]], [[1.0, 0.0], [0.0, 0.0]]])
    assert smoothness(log_probability(mask), log_probability(np.array([0.5, 0.25]))) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("normalization", "divisors"), [("count", (2, 8)), ("weight", (5, 20))])
def test_all_terms_and_their_sum_by_hand(normalization: str, divisors: tuple[int, int]) -> None:
    label = np.array([0.5, 0.2])
    mask = np.array([[[0.5, 0.5], [0.8, 0.1]], [[0.1, 0.1], [0.2, 0.4]]])
    classification = -(4 * np.log(0.5) + np.log(0.8)) / divisors[0]
    spliced = 4 * (np.log(0.5) + np.log(0.5) + np.log(0.8) + np.log(0.4))
    segmentation = -(spliced + 3 * np.log(0.9) + np.log(0.8)) / divisors[1]
    smooth = (abs(1.9 / 4 - 0.5) + abs(0.8 / 4 - 0.2)) / 2
    terms = compiled_loss(
        log_probability(label), log_probability(mask), LABELS, MASKS, normalization=normalization, **FIELDS
    )
    expected = (classification + 10 * segmentation + 0.5 * smooth, classification, segmentation, smooth)
    np.testing.assert_allclose(terms, expected, rtol=1e-5)


@pytest.mark.parametrize("normalization", ["count", "weight"])
def test_gradients_equal_differences(normalization: str) -> None:
    random = np.random.default_rng(0)
    logits = [random.standard_normal(shape).astype(np.float32) for shape in ((2, 2), (2, 2, 2, 2))]

    def loss(label, mask):
        label, mask = jax.nn.log_softmax(label), jax.nn.log_softmax(mask)
        return semi_global_loss(label, mask, LABELS, MASKS, normalization=normalization, **FIELDS).total

    check_grads(jax.jit(loss), logits, order=1, modes=["rev"], atol=1e-2, rtol=1e-2, eps=1e-2)


@pytest.mark.parametrize("normalization", ["count", "weight"])
def test_probabilities_of_exactly_zero_and_one_stay_finite(normalization: str) -> None:
    def loss(label, mask):
        return semi_global_loss(label, mask, LABELS, MASKS, normalization=normalization, **FIELDS).total

    both = jax.jit(jax.value_and_grad(loss, (0, 1)))
    right = both(log_probability(LABELS), log_probability(MASKS))
    wrong = both(log_probability(1 - LABELS), log_probability(1 - MASKS))
    for value, gradients in (right, wrong):
        assert np.isfinite(value)
        assert all(np.isfinite(gradient).all() for gradient in gradients)
    smooth = 0.5 * np.mean([1 - 3 / 4, 1 / 4])
    mean_weights = 11 if normalization == "weight" else 4 * 1 / 2 + 1 / 2 + 10 * (4 * 4 + 4) / 8
    assert right[0] == pytest.approx(smooth, abs=1e-6)
    assert wrong[0] == pytest.approx(100 * mean_weights + smooth, rel=1e-6)


def test_logits_that_saturate_still_pull_back() -> None:
    def loss(logits):
        return weighted_cross_entropy(jax.nn.log_softmax(logits), jnp.array([1]), jnp.ones(2), "count")

    # The probability is 0 to 34 digits, but its logarithm comes from the logits and loses nothing.
    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.array([[80.0, 0.0]]))
    assert value == pytest.approx(80)
    np.testing.assert_allclose(gradient, [[1, -1]], atol=1e-6)


def test_median_frequency_weights_by_hand() -> None:
    # Frequencies 3/4 + 1/4 over both images = 4 / 8, 2 / 8, and 2 / 4 in the one image that has the third class.
    counts = np.array([[3, 1, 0], [1, 1, 2]])
    np.testing.assert_allclose(median_frequency_weights(counts), [1, 2, 1])
    np.testing.assert_allclose(median_frequency_weights(np.array([[90, 10], [80, 20]])), [0.5 / 0.85, 0.5 / 0.15])
    np.testing.assert_allclose(median_frequency_weights(np.array([[5, 0]])), [1, 1])


LOGITS: Any = np.random.default_rng(1).normal(0, 3, (4, 5, 6)).astype(np.float32)
SPLICES: Any = np.random.default_rng(2).integers(0, 2, (4, 5, 6)).astype(np.float32)
COUNTED: Any = np.random.default_rng(3).integers(0, 2, (4, 5, 6)).astype(np.float32)
COUNTED[:, 0, 0], COUNTED[0] = 1, 1
CHOSEN: Any = np.array([True, True, False, True])
either_way = pytest.mark.parametrize("transform", [lambda function: function, jax.jit], ids=["eager", "jit"])


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(float)))


@either_way
def test_binary_cross_entropy_is_scikit_learn_s_log_loss_of_what_counts(transform) -> None:
    chosen = COUNTED > 0
    expected = log_loss(SPLICES[chosen], sigmoid(LOGITS)[chosen])
    assert transform(binary_cross_entropy)(LOGITS, SPLICES, COUNTED) == pytest.approx(expected, rel=1e-5)
    weights = np.where(SPLICES > 0, 2.5, 1.0)[chosen]
    weighted = log_loss(SPLICES[chosen], sigmoid(LOGITS)[chosen], sample_weight=weights) * weights.mean()
    assert transform(binary_cross_entropy)(LOGITS, SPLICES, COUNTED, 2.5) == pytest.approx(weighted, rel=1e-5)


@either_way
def test_binary_cross_entropy_of_shares_and_of_nothing(transform) -> None:
    compute = transform(binary_cross_entropy)
    expected = -(2 * 0.25 * np.log(0.5) + 0.75 * np.log(0.5))
    assert compute(np.zeros(3), np.full(3, 0.25), np.ones(3), 2.0) == pytest.approx(expected, rel=1e-6)
    assert compute(LOGITS, SPLICES, np.zeros_like(COUNTED)) == 0
    assert compute(np.array([1e4, -1e4]), np.array([0.0, 1.0]), np.ones(2)) == pytest.approx(1e4)


@either_way
def test_soft_dice_by_hand(transform) -> None:
    probability = sigmoid(LOGITS)
    each = [
        1 - (2 * (p * t * c).sum() + 1) / ((p * c).sum() + (t * c).sum() + 1)
        for p, t, c in zip(probability, SPLICES, COUNTED, strict=True)
    ]
    compute = transform(soft_dice)
    assert compute(LOGITS, SPLICES, COUNTED, CHOSEN) == pytest.approx(np.mean(np.array(each)[CHOSEN]), rel=1e-5)
    assert compute(LOGITS, SPLICES, COUNTED, ~CHOSEN & False) == 0
    sure = np.where(SPLICES > 0, 50, -50).astype(np.float32)
    assert compute(sure, SPLICES, COUNTED, CHOSEN) == pytest.approx(0, abs=1e-6)


def test_shares_of_a_batch_that_count_differently_have_the_mean_of_the_whole() -> None:
    """Spread over two devices, of which one has more pixels that count and more images that are chosen."""

    def both(logits, target, counted, chosen, axis_name=None):
        dice = soft_dice(logits, target, counted, chosen, axis_name)
        return jnp.stack([binary_cross_entropy(logits, target, counted, 2.0, axis_name), dice])

    arrays: list[Any] = [LOGITS, SPLICES, COUNTED, CHOSEN]
    whole: Any = jax.jit(both)
    halves = [array.reshape(2, 2, *array.shape[1:]) for array in arrays]
    assert halves[2][0].sum() != halves[2][1].sum()
    shared: Any = jax.vmap(functools.partial(both, axis_name="devices"), axis_name="devices")
    mapped = jax.jit(shared)(*halves)
    np.testing.assert_allclose(mapped.mean(0), whole(*arrays), rtol=1e-5)
    nothing = shared(*halves[:2], np.zeros_like(halves[2]), np.zeros_like(halves[3]))
    assert not np.any(nothing)


def test_gradients_of_the_map_s_losses_equal_differences() -> None:
    def loss(logits):
        return binary_cross_entropy(logits, SPLICES, COUNTED, 2.0) + soft_dice(logits, SPLICES, COUNTED, CHOSEN)

    check_grads(jax.jit(loss), (LOGITS,), order=1, modes=["rev"], atol=1e-2, rtol=1e-2, eps=1e-2)
