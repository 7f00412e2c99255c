"""Batch normalization with PyTorch's running averages, so that statistics can be converted in both directions."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from splice_jax.models.kernels.initializers import Initializer

EPSILON = 1e-5
MOMENTUM = 0.1  # weight of the current batch in the running averages


class BatchNorm(nn.Module):
    """Normalizes each channel over all other axes (Ioffe & Szegedy, ICML 2015), with batch or running statistics.

    Unlike `flax.linen.BatchNorm`, it averages unbiased variances and computes the variance about the mean.
    """

    use_running_average: bool
    axis_name: str | None = None  # the mapped axis that a batch is spread over
    scale_init: Initializer = nn.initializers.ones

    @nn.compact
    def __call__(self, values: Float[Array, "... channels"]) -> Float[Array, "... channels"]:
        shape = values.shape[-1:]
        scale = self.param("scale", self.scale_init, shape)
        bias = self.param("bias", nn.initializers.zeros, shape)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
        running_variance = self.variable("batch_stats", "var", jnp.ones, shape)
        mean, variance = running_mean.value, running_variance.value
        if not self.use_running_average:
            mean = self._mean(values)
            variance = self._mean((values - mean) ** 2)
            count = self._total(values.size // values.shape[-1])
            unbiased = variance * (count / (count - 1))
            running_mean.value += MOMENTUM * (mean - running_mean.value)
            running_variance.value += MOMENTUM * (unbiased - running_variance.value)
        return (values - mean) * (jax.lax.rsqrt(variance + EPSILON) * scale) + bias

    def _mean(self, values: Array) -> Array:
        mean = values.mean(tuple(range(values.ndim - 1)))
        return mean if self.axis_name is None else jax.lax.pmean(mean, self.axis_name)

    def _total(self, count: int) -> Array | int:
        return count if self.axis_name is None else jax.lax.psum(count, self.axis_name)
