"""Shapes, sizes and training. Values are compared with PyTorch's in tests/weights/test_torchvision.py."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from splice_jax.models.vgg import VGG16, _dropout

IMAGES = np.random.default_rng(0).standard_normal((2, 64, 96, 3)).astype(np.float32)


def shapes(network: nn.Module) -> dict[str, Any]:
    return jax.eval_shape(network.init, jax.random.key(0), IMAGES)


def size(tree: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(("batch_norm", "torchvision"), [(False, 138_357_544), (True, 138_365_992)])
def test_parameter_counts_are_torchvision_s_without_the_last_layer(batch_norm: bool, torchvision: int) -> None:
    parameters = shapes(VGG16(batch_norm=batch_norm))["params"]
    assert size(parameters) == torchvision - (4096 + 1) * 1000
    trunk = shapes(VGG16(batch_norm=batch_norm, fully_connected=False))["params"]
    assert size(parameters) - size(trunk) == (7 * 7 * 512 + 1) * 4096 + (4096 + 1) * 4096
    assert size(trunk) == 14_714_688 + batch_norm * 2 * 4224


@pytest.mark.parametrize(("width", "fully_connected"), [(64, True), (64, False), (4, True)])
def test_sides_and_channels(width: int, fully_connected: bool) -> None:
    network = VGG16(width, fully_connected=fully_connected)
    features = jax.eval_shape(network.apply, shapes(network), IMAGES)
    assert features.pool3.shape == (2, 8, 12, 4 * width)
    assert features.pool4.shape == (2, 4, 6, 8 * width)
    assert features.pool5.shape == (2, 2, 3, 8 * width)
    assert (features.fc7.shape == (2, 2, 3, 64 * width)) if fully_connected else (features.fc7 is None)
    odd = jax.eval_shape(network.apply, shapes(network), IMAGES[:, :63, :95])
    assert (odd.pool3.shape[1:3], odd.pool5.shape[1:3]) == ((7, 11), (1, 2))


def test_training_uses_the_batch_and_drops_half_of_the_last_features() -> None:
    network = VGG16(4)
    variables = jax.jit(network.init)(jax.random.key(0), IMAGES)

    @jax.jit
    def train(key: jax.Array) -> Any:
        return network.apply(variables, IMAGES, train=True, rngs={"dropout": key}, mutable=["batch_stats"])

    (first, updates), (same, _), (other, _) = [train(jax.random.key(seed)) for seed in (1, 1, 2)]
    jax.tree.map(np.testing.assert_array_equal, first, same)
    np.testing.assert_array_equal(first.pool5, other.pool5)
    assert np.any(first.fc7 != other.fc7)
    assert 0.65 < np.mean(np.asarray(first.fc7) == 0) < 0.85  # the ReLU closes half, dropout takes half of the rest
    old = flatten_dict(variables["batch_stats"])
    assert len(old) == 26
    assert all(np.any(new != old[path]) for path, new in flatten_dict(updates["batch_stats"]).items())


def test_dropout_follows_from_the_position_in_the_whole_batch() -> None:
    values = jnp.ones((4, 3, 5, 7))
    key = jax.random.key(0)
    whole = np.asarray(_dropout(key, values, None))
    assert set(np.unique(whole)) == {0, 2} and 0.4 < np.mean(whole == 0) < 0.6
    assert len({example.tobytes() for example in whole}) == 4
    for devices in (2, 4):
        spread = jax.vmap(lambda share: _dropout(key, share, "devices"), axis_name="devices")
        np.testing.assert_array_equal(spread(values.reshape(devices, -1, 3, 5, 7)).reshape(values.shape), whole)


def test_without_batch_norm_there_are_no_statistics() -> None:
    assert set(shapes(VGG16(4, batch_norm=False))) == {"params"}
