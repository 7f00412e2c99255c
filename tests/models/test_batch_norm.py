import functools

import jax
import numpy as np
import pytest

from splice_jax.models.batch_norm import BatchNorm

RANDOM = np.random.default_rng(0)
IMAGES = (3 + 2 * RANDOM.standard_normal((4, 5, 6, 3))).astype(np.float32)
VARIABLES = {
    "params": {"scale": np.array([0.5, 1, 2], np.float32), "bias": np.array([0.1, 0, -1], np.float32)},
    "batch_stats": {"mean": np.array([1, 2, 3], np.float32), "var": np.array([4, 1, 9], np.float32)},
}


def by_hand(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    affine = VARIABLES["params"]
    return (IMAGES - mean) / np.sqrt(variance + 1e-5) * affine["scale"] + affine["bias"]


def test_running_averages_are_used_and_left_alone() -> None:
    found, updates = jax.jit(functools.partial(BatchNorm(True).apply, mutable=["batch_stats"]))(VARIABLES, IMAGES)
    running = VARIABLES["batch_stats"]
    np.testing.assert_allclose(found, by_hand(running["mean"], running["var"]), rtol=1e-5, atol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, updates["batch_stats"], running)


@pytest.mark.parametrize("devices", [1, 2, 4])
def test_a_batch_is_normalized_by_itself_and_moves_the_averages_by_a_tenth(devices: int) -> None:
    module = BatchNorm(False, "devices")
    apply = functools.partial(module.apply, mutable=["batch_stats"])
    mapped = jax.jit(jax.vmap(apply, in_axes=(None, 0), axis_name="devices"))
    found, updates = mapped(VARIABLES, IMAGES.reshape(devices, -1, 5, 6, 3))
    mean, variance = IMAGES.mean((0, 1, 2)), IMAGES.var((0, 1, 2))
    np.testing.assert_allclose(found.reshape(IMAGES.shape), by_hand(mean, variance), rtol=1e-4, atol=1e-4)
    unbiased = IMAGES.var((0, 1, 2), ddof=1)  # as PyTorch averages it
    assert np.all(np.abs(unbiased / variance - 1) > 0.005)
    for name, batch in (("mean", mean), ("var", unbiased)):
        moved = 0.9 * VARIABLES["batch_stats"][name] + 0.1 * batch
        for device in updates["batch_stats"][name]:
            np.testing.assert_allclose(device, moved, rtol=1e-5)


def test_a_large_mean_costs_no_precision() -> None:
    values = (1000 + RANDOM.standard_normal((100, 1))).astype(np.float32)
    found = BatchNorm(False).init_with_output(jax.random.key(0), values)[0]
    assert np.asarray(found).std() == pytest.approx(1, rel=1e-3)
