from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from splice_jax.training.optimizer import cosine_schedule, is_frozen, make_optimizer, step_schedule

FROZEN = ("resnet",)
PARAMS = {
    "resnet": {"conv1": {"kernel": np.ones((7, 11), np.float32)}, "bias": np.ones(13, np.float32)},
    "label_head": {"kernel": np.ones((2, 3), np.float32), "bias": np.ones(5, np.float32)},
}
TRAINED = 2 * 3 + 5


def gradients(seed: int, scale: float = 1.0) -> dict:
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: (scale * random.standard_normal(leaf.shape)).astype(np.float32), PARAMS)


def adam(history: list[np.ndarray], rates: list[float]) -> np.ndarray:
    """The last update of Kingma & Ba's algorithm 1."""
    first = second = np.zeros(history[0].shape)
    for step, gradient in enumerate(history, 1):
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        update = -rates[step - 1] * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return update


def updates_of(optimizer: optax.GradientTransformation, history: list[dict]) -> dict:
    state = optimizer.init(PARAMS)
    for gradient in history:
        updates, state = jax.jit(optimizer.update)(gradient, state, PARAMS)
    return updates


def test_only_the_resnet_is_frozen() -> None:
    assert is_frozen(PARAMS, FROZEN) == {
        "resnet": {"conv1": {"kernel": True}, "bias": True},
        "label_head": {"kernel": False, "bias": False},
    }
    assert not any(jax.tree.leaves(is_frozen({"local_network": {"resnet": np.ones(2)}, "resnet2": np.ones(2)}, FROZEN)))


@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
def test_frozen_parameters_own_no_moments_and_get_updates_of_exactly_zero(clip_norm: float) -> None:
    optimizer = make_optimizer(optax.constant_schedule(0.1), clip_norm=clip_norm, frozen=FROZEN)
    moments = [leaf for leaf in jax.tree.leaves(optimizer.init(PARAMS)) if leaf.ndim]
    assert sorted(leaf.shape for leaf in moments) == sorted(2 * [(2, 3), (5,)])
    assert sum(leaf.size for leaf in moments) == 2 * TRAINED
    updates = updates_of(optimizer, [gradients(0), gradients(1)])
    for leaf in jax.tree.leaves(updates["resnet"]):
        assert not np.any(leaf)
    for leaf in jax.tree.leaves(updates["label_head"]):
        assert np.all(np.abs(leaf) > 0)


def test_updates_are_adams_at_the_schedules_rate() -> None:
    history = [gradients(seed) for seed in range(3)]
    optimizer = make_optimizer(step_schedule(0.1, [2], 0.5, 0), frozen=FROZEN)
    updates = updates_of(optimizer, history)
    for name in ("kernel", "bias"):
        expected = adam([gradient["label_head"][name] for gradient in history], [0.1, 0.1, 0.05])
        np.testing.assert_allclose(updates["label_head"][name], expected, rtol=1e-4, atol=1e-7)


def test_gradients_are_clipped_by_the_norm_of_what_is_trained() -> None:
    # The first gradient is below the norm, the second above; those of frozen parameters do not count.
    history = [gradients(0, 0.1), gradients(1, 10.0)]
    for gradient in history:
        gradient["resnet"] = jax.tree.map(lambda leaf: 1e6 * leaf, gradient["resnet"])
    updates = updates_of(make_optimizer(optax.constant_schedule(0.1), clip_norm=2.0, frozen=FROZEN), history)
    norms = [np.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(gradient["label_head"]))) for gradient in history]
    assert norms[0] < 2 < norms[1]
    for name in ("kernel", "bias"):
        clipped = [history[0]["label_head"][name], history[1]["label_head"][name] * 2 / norms[1]]
        np.testing.assert_allclose(updates["label_head"][name], adam(clipped, [0.1, 0.1]), rtol=1e-4)


def rates(schedule: optax.Schedule, steps: list[int]) -> list[float]:
    eager, compiled = (
        [float(function(jnp.asarray(step))) for step in steps] for function in (schedule, jax.jit(schedule))
    )
    assert eager == pytest.approx(compiled)
    return eager


def test_step_schedule_by_hand() -> None:
    schedule = step_schedule(0.4, (5, 8), 0.1, 0)
    assert rates(schedule, [0, 4, 5, 7, 8, 1000]) == pytest.approx([0.4, 0.4, 0.04, 0.04, 0.004, 0.004])
    assert rates(step_schedule(0.4, (), 0.1, 0), [0, 1000]) == pytest.approx([0.4, 0.4])


def test_step_schedule_with_warm_up_by_hand() -> None:
    schedule = step_schedule(0.4, (5,), 0.1, 4)
    assert rates(schedule, [0, 1, 2, 3, 4, 5]) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.04])


def test_cosine_schedule_by_hand() -> None:
    warmed_up = cosine_schedule(0.4, 12, 4)
    half = np.sqrt(0.5)
    expected = [0, 0.1, 0.3, 0.4, 0.2 * (1 + half), 0.2, 0.2 * (1 - half), 0, 0]
    assert rates(warmed_up, [0, 1, 3, 4, 6, 8, 10, 12, 20]) == pytest.approx(expected, abs=1e-7)
    assert rates(cosine_schedule(0.4, 8, 0), [0, 2, 4, 8]) == pytest.approx([0.4, 0.2 * (1 + half), 0.2, 0], abs=1e-7)


def test_cosine_schedule_of_a_run_no_longer_than_its_warm_up() -> None:
    assert rates(cosine_schedule(0.4, 1, 0), [0, 1]) == pytest.approx([0.4, 0], abs=1e-7)
    assert rates(cosine_schedule(0.4, 2, 4), [0, 1, 2]) == pytest.approx([0, 0.1, 0.2])


@pytest.mark.parametrize("clip_norm", [0.0, 1e6])
def test_sgd_has_momentum_and_weights_decay_but_biases_do_not(clip_norm: float) -> None:
    history = [gradients(seed) for seed in range(2)]
    schedule = optax.constant_schedule(0.1)
    found = updates_of(
        make_optimizer(schedule, kind="sgd", weight_decay=0.5, clip_norm=clip_norm, frozen=FROZEN), history
    )
    first, second = (gradient["label_head"] for gradient in history)
    expected = {
        "kernel": -0.1 * (0.9 * (first["kernel"] + 0.5) + second["kernel"] + 0.5),  # all parameters are 1
        "bias": -0.1 * (0.9 * first["bias"] + second["bias"]),
    }
    for name, update in expected.items():
        np.testing.assert_allclose(found["label_head"][name], update, rtol=1e-5)
    assert not any(leaf.any() for leaf in jax.tree.leaves(found["resnet"]))


@pytest.mark.parametrize("clip_norm", [0.0, 1e6])
def test_adamw_decays_kernels_by_the_rate_and_not_by_their_gradients(clip_norm: float) -> None:
    """Loshchilov & Hutter's algorithm 2: the decay stands beside Adam's update."""
    history = [gradients(seed) for seed in range(3)]
    schedule = step_schedule(0.1, [2], 0.5, 0)
    options: dict[str, Any] = {"weight_decay": 0.3, "clip_norm": clip_norm, "frozen": FROZEN}
    found = updates_of(make_optimizer(schedule, kind="adamw", **options), history)
    for name, decay in (("kernel", 0.3), ("bias", 0.0)):
        expected = adam([gradient["label_head"][name] for gradient in history], [0.1, 0.1, 0.05]) - 0.05 * decay
        np.testing.assert_allclose(found["label_head"][name], expected, rtol=1e-4, atol=1e-7)  # parameters are 1
    assert not any(leaf.any() for leaf in jax.tree.leaves(found["resnet"]))
    without = updates_of(make_optimizer(schedule, kind="adamw", frozen=FROZEN), history)
    same = updates_of(make_optimizer(schedule, kind="adam", frozen=FROZEN), history)
    jax.tree.map(np.testing.assert_array_equal, without, same)
