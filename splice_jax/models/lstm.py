"""Stacked LSTM layers, each an `nn.scan` over the sequence."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from splice_jax.models.initializers import Initializer, symmetric_uniform
from splice_jax.models.precision import matmul

# The signal fades through gates: an LSTM's output is about a quarter of a small input. So that a stack of layers begins
# as trainable as one, the first reads its input at twice the usual deviation and remembers, and those above it hand on
# what they are given: their candidate is four times the value below, their gates stand half open. Chosen by validation
# (README.md, Results).
CANDIDATE_GAIN = 4.0
_UPPER_RECURRENCE = 0.3
_first_input = nn.initializers.variance_scaling(4.0, "fan_in", "truncated_normal")
_upper_gates = nn.initializers.variance_scaling(0.25, "fan_in", "truncated_normal")


def _upper_input(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
    """Small, and a multiple of the identity for the candidate."""
    hidden = shape[0]
    candidate = CANDIDATE_GAIN * jnp.eye(hidden, dtype=dtype)
    return _upper_gates(key, shape, dtype).at[:, 2 * hidden : 3 * hidden].set(candidate)


def _orthogonal_gates(scale: float) -> Initializer:
    """One orthogonal matrix, times `scale`, per gate."""

    def draw(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        orthogonal = nn.initializers.orthogonal(scale)
        gates = [orthogonal(gate, (shape[0], shape[0]), dtype) for gate in jax.random.split(key, 4)]
        return jnp.concatenate(gates, axis=1)

    return draw


def _remembering(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
    """Zeros, and ones for the forget gate (Jozefowicz et al., ICML 2015)."""
    hidden = shape[0] // 4
    return jnp.zeros(shape, dtype).at[hidden : 2 * hidden].set(1)


class Start(NamedTuple):
    """Initializers of one layer."""

    input_kernel: Initializer
    input_bias: Initializer
    kernel: Initializer
    bias: Initializer


FIRST = Start(_first_input, nn.initializers.zeros, _orthogonal_gates(1.0), _remembering)
UPPER = Start(_upper_input, nn.initializers.zeros, _orthogonal_gates(_UPPER_RECURRENCE), nn.initializers.zeros)


def _start(initialization: str, layer: int, hidden_size: int) -> Start:
    if initialization == "baseline":  # PyTorch's default
        return Start(*[symmetric_uniform(hidden_size**-0.5)] * 4)
    return FIRST if layer == 0 else UPPER


class LSTMStep(nn.Module):
    """One step of one layer: the recurrent half of the gates, and the state's update. Gates in the order i, f, g, o."""

    hidden_size: int
    start: Start
    compute_dtype: str = "float32"

    @nn.compact
    def __call__(
        self, state: tuple[Float[Array, "n hidden"], Float[Array, "n hidden"]], from_input: Float[Array, "n 4*hidden"]
    ) -> tuple[tuple[Array, Array], Float[Array, "n hidden"]]:
        cell, hidden = state
        kernel = self.param("kernel", self.start.kernel, (self.hidden_size, 4 * self.hidden_size))
        bias = self.param("bias", self.start.bias, (4 * self.hidden_size,))
        into, keep, candidate, out = jnp.split(
            from_input + matmul(hidden, kernel, self.compute_dtype) + bias, 4, axis=-1
        )
        cell = jax.nn.sigmoid(keep) * cell + jax.nn.sigmoid(into) * jnp.tanh(candidate)
        hidden = jax.nn.sigmoid(out) * jnp.tanh(cell)
        return (cell, hidden), hidden


class InputGates(nn.Module):
    """The input half of the gates, for all steps at once."""

    hidden_size: int
    start: Start
    compute_dtype: str = "float32"

    @nn.compact
    def __call__(self, sequence: Float[Array, "steps n inputs"]) -> Float[Array, "steps n 4*hidden"]:
        kernel = self.param("kernel", self.start.input_kernel, (sequence.shape[-1], 4 * self.hidden_size))
        bias = self.param("bias", self.start.input_bias, (4 * self.hidden_size,))
        return matmul(sequence, kernel, self.compute_dtype) + bias


class LSTM(nn.Module):
    """`num_layers` LSTM layers on top of each other, from a zero state (Hochreiter & Schmidhuber 1997, forget gate).

    Both halves of the gates carry a bias, as in cuDNN and PyTorch. Products are computed in `compute_dtype`, states,
    sums and parameters in float32.
    """

    hidden_size: int
    num_layers: int
    compute_dtype: str = "float32"
    initialization: str = "looks_linear"

    @nn.compact
    def __call__(self, sequence: Float[Array, "steps n inputs"]) -> Float[Array, "steps n hidden"]:
        scan = nn.scan(LSTMStep, variable_broadcast="params", split_rngs={"params": False}, in_axes=0, out_axes=0)
        zeros = jnp.zeros((sequence.shape[1], self.hidden_size), sequence.dtype)
        for layer in range(self.num_layers):
            start = _start(self.initialization, layer, self.hidden_size)
            gates = InputGates(self.hidden_size, start, self.compute_dtype, name=f"layer{layer}_input")(sequence)
            step = scan(self.hidden_size, start, self.compute_dtype, name=f"layer{layer}_recurrent")
            _, sequence = step((zeros, zeros), gates)
        return sequence
