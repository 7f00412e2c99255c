"""Stacked LSTM layers, each an `nn.scan` over the sequence."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from splice_jax.models.precision import matmul

# The signal fades through gates at small weights (PyTorch's are uniform in ± 1 / sqrt(hidden size)): inputs start with
# twice the usual deviation, memories are kept. Chosen by validation with one layer of 64 values (README.md, Results).
_input_kernel = nn.initializers.variance_scaling(4.0, "fan_in", "truncated_normal")


def _orthogonal_gates(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
    """One orthogonal matrix per gate."""
    hidden = shape[0]
    gates = [nn.initializers.orthogonal()(gate, (hidden, hidden), dtype) for gate in jax.random.split(key, 4)]
    return jnp.concatenate(gates, axis=1)


def _remembering(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
    """Zeros, and ones for the forget gate (Jozefowicz et al., ICML 2015)."""
    hidden = shape[0] // 4
    return jnp.zeros(shape, dtype).at[hidden : 2 * hidden].set(1)


class LSTMStep(nn.Module):
    """One step of one layer: the recurrent half of the gates, and the state's update. Gates in the order i, f, g, o."""

    hidden_size: int
    compute_dtype: str = "float32"

    @nn.compact
    def __call__(
        self, state: tuple[Float[Array, "n hidden"], Float[Array, "n hidden"]], from_input: Float[Array, "n 4*hidden"]
    ) -> tuple[tuple[Array, Array], Float[Array, "n hidden"]]:
        cell, hidden = state
        kernel = self.param("kernel", _orthogonal_gates, (self.hidden_size, 4 * self.hidden_size))
        bias = self.param("bias", _remembering, (4 * self.hidden_size,))
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
        kernel = self.param("kernel", _input_kernel, (sequence.shape[-1], 4 * self.hidden_size))
        bias = self.param("bias", nn.initializers.zeros, (4 * self.hidden_size,))
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
