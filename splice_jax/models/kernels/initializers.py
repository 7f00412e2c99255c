"""Initial weights: `looks_linear`, which got past chance with every seed tried, or those of the `baseline`."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array

Initializer = Callable[..., Array]
"""Takes (key, shape, dtype), returns values, as Flax expects."""

INITIALIZATIONS = ("looks_linear", "baseline")

kaiming_normal = nn.initializers.variance_scaling(2.0, "fan_in", "truncated_normal")
_kaiming_untruncated = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


def kernels(initialization: str) -> Initializer:
    """For convolutions and dense layers: normal, variance 2 / fan-in; truncated, except for `baseline`."""
    return _kaiming_untruncated if initialization == "baseline" else kaiming_normal


def biases(initialization: str, fan_in: int) -> Initializer:
    """Zeros or (`baseline`) PyTorch's default for layers with `fan_in` inputs."""
    return symmetric_uniform(fan_in**-0.5) if initialization == "baseline" else nn.initializers.zeros


def scales(initialization: str) -> Initializer:
    """For BatchNorm: ones or (`baseline`) normal around one with deviation 0.02."""
    return _about_one if initialization == "baseline" else nn.initializers.ones


def symmetric_uniform(limit: float) -> Initializer:
    """Uniform in ± `limit`."""

    def draw(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return draw


def paired_kernels(initialization: str, *axes: int) -> Initializer:
    """As `kernels`, but the second half of the channels along `axes` is the first half negated (not for `baseline`).

    Two such layers with a ReLU between them start as one linear function ("looks linear", Balduzzi et al., ICML 2017).
    """
    return kernels(initialization) if initialization == "baseline" else functools.partial(_mirrored, axes=axes)


def _mirrored(key: Array, shape: Sequence[int], dtype: Any = jnp.float32, *, axes: Sequence[int]) -> Array:
    half = [size // 2 if axis in axes else size for axis, size in enumerate(shape)]
    kernel = kaiming_normal(key, half, dtype)
    for axis in axes:
        kernel = jnp.concatenate([kernel, -kernel], axis)
    return kernel


def _about_one(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
    return 1 + 0.02 * jax.random.normal(key, shape, dtype)
