"""Stacked LSTM layers, each an `nn.scan` over the sequence."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from splice_jax.models.precision import matmul


def uniform_by_hidden_size(hidden_size: int) -> Callable[..., Array]:
    """Uniform in ± 1 / sqrt(hidden size): how the PyTorch baseline's LSTM starts."""
    bound = hidden_size**-0.5

    def initialise(key: Array, shape: Sequence[int], dtype: Any = jnp.float32, **_: Any) -> Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return initialise


class LSTMStep(nn.Module):
    """One step of one layer: the recurrent half of the gates, and the state's update. Gates in the order i, f, g, o."""

    hidden_size: int
    compute_dtype: str = "float32"

    @nn.compact
    def __call__(
        self, state: tuple[Float[Array, "n hidden"], Float[Array, "n hidden"]], from_input: Float[Array, "n 4*hidden"]
    ) -> tuple[tuple[Array, Array], Float[Array, "n hidden"]]:
        cell, hidden = state
        initialise = uniform_by_hidden_size(self.hidden_size)
        kernel = self.param("kernel", initialise, (self.hidden_size, 4 * self.hidden_size))
        bias = self.param("bias", initialise, (4 * self.hidden_size,))
        into, keep, candidate, out = jnp.split(
            from_input + matmul(hidden, kernel, self.compute_dtype) + bias, 4, axis=-1
        )
        cell = jax.nn.sigmoid(keep) * cell + jax.nn.sigmoid(into) * jnp.tanh(candidate)
        hidden = jax.nn.sigmoid(out) * jnp.tanh(cell)
        return (cell, hidden), hidden


class InputGates(nn.Module):
    """The input half of the gates, for all steps at once."""

    hidden_size: int
    compute_dtype: str = "float32"

    @nn.compact
    def __call__(self, sequence: Float[Array, "steps n inputs"]) -> Float[Array, "steps n 4*hidden"]:
        initialise = uniform_by_hidden_size(self.hidden_size)
        kernel = self.param("kernel", initialise, (sequence.shape[-1], 4 * self.hidden_size))
        bias = self.param("bias", initialise, (4 * self.hidden_size,))
        return matmul(sequence, kernel, self.compute_dtype) + bias


class LSTM(nn.Module):
    """`num_layers` LSTM layers on top of each other, from a zero state (Hochreiter & Schmidhuber 1997, forget gate).

    Both halves of the gates carry a bias, as in cuDNN and PyTorch. Products are computed in `compute_dtype`, states,
    sums and parameters in float32.
    """

    hidden_size: int
    num_layers: int
    compute_dtype: str = "float32"

    @nn.compact
    def __call__(self, sequence: Float[Array, "steps n inputs"]) -> Float[Array, "steps n hidden"]:
        scan = nn.scan(LSTMStep, variable_broadcast="params", split_rngs={"params": False}, in_axes=0, out_axes=0)
        zeros = jnp.zeros((sequence.shape[1], self.hidden_size), sequence.dtype)
        for layer in range(self.num_layers):
            gates = InputGates(self.hidden_size, self.compute_dtype, name=f"layer{layer}_input")(sequence)
            step = scan(self.hidden_size, self.compute_dtype, name=f"layer{layer}_recurrent")
            _, sequence = step((zeros, zeros), gates)
        return sequence
