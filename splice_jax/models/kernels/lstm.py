"""Stacked LSTM layers, each an `nn.scan` over the sequence with a custom gradient.

JAX's gradient of a scan adds to the weights' gradients at every step and recomputes every step's activations; here
each step back through time needs one small product, and the weights' gradients follow in one large product.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from splice_jax.models.kernels.initializers import Initializer, symmetric_uniform
from splice_jax.models.kernels.precision import matmul

# The gates make the signal fade: for small inputs, an LSTM's output is about a quarter of its input. To make a stack
# start out as trainable as a single layer, the first layer's input weights have twice the usual deviation and its
# forget gate is biased to remember; the upper layers pass on their input: their candidate is four times the value
# below, and their gates are half open. Chosen by validation (docs/results.md).
CANDIDATE_GAIN = 4.0
_UPPER_RECURRENCE = 0.3
_first_input = nn.initializers.variance_scaling(4.0, "fan_in", "truncated_normal")
_upper_gates = nn.initializers.variance_scaling(0.25, "fan_in", "truncated_normal")


def _upper_input(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
    """Small weights for the gates, a multiple of the identity for the candidate."""
    hidden = shape[0]
    candidate = CANDIDATE_GAIN * jnp.eye(hidden, dtype=dtype)
    return _upper_gates(key, shape, dtype).at[:, 2 * hidden : 3 * hidden].set(candidate)


def _orthogonal_gates(scale: float) -> Initializer:
    """One orthogonal matrix per gate, times `scale`."""

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


class Course(NamedTuple):
    """A layer's history: at each step its output, its gates i, f, g, o after activation, and its cell."""

    hidden: Float[Array, "... hidden"]
    gates: Float[Array, "... 4*hidden"]
    cell: Float[Array, "... hidden"]


def _gains(hidden_size: int) -> Float[np.ndarray, " 4*hidden"]:
    return np.repeat(np.array([0.5, 0.5, 1.0, 0.5], np.float32), hidden_size)


def _activate(gates: Float[Array, "n 4*hidden"]) -> Float[Array, "n 4*hidden"]:
    """tanh for g, the logistic function (1 + tanh(x / 2)) / 2 for the others: one tanh, which XLA vectorizes well."""
    gain = _gains(gates.shape[-1] // 4)
    return gain * jnp.tanh(gain * gates) + (1 - gain)


def _slope(activated: Float[Array, "n 4*hidden"]) -> Float[Array, "n 4*hidden"]:
    """The derivative of `_activate`, computed from its result."""
    gain = jnp.asarray(_gains(activated.shape[-1] // 4))
    return gain**2 - (activated - (1 - gain)) ** 2


class LSTMStep(nn.Module):
    """One step of one layer: the recurrent part of the gates, and the state update."""

    hidden_size: int
    start: Start
    compute_dtype: str = "float32"

    @nn.compact
    def __call__(
        self, state: tuple[Float[Array, "n hidden"], Float[Array, "n hidden"]], from_input: Float[Array, "n 4*hidden"]
    ) -> tuple[tuple[Array, Array], Course]:
        cell, hidden = state
        kernel = self.param("kernel", self.start.kernel, (self.hidden_size, 4 * self.hidden_size))
        bias = self.param("bias", self.start.bias, (4 * self.hidden_size,))
        gates = _activate(from_input + matmul(hidden, kernel, self.compute_dtype) + bias)
        into, keep, candidate, out = jnp.split(gates, 4, axis=-1)
        cell = keep * cell + into * candidate
        hidden = out * jnp.tanh(cell)
        return (cell, hidden), Course(hidden, gates, cell)


def _course(steps: nn.Module, from_input: Float[Array, "steps n 4*hidden"]) -> Course:
    """Runs a scan of `LSTMStep` from a zero state."""
    zeros = jnp.zeros((from_input.shape[1], from_input.shape[2] // 4), from_input.dtype)
    return steps((zeros, zeros), from_input)[1]


def _outputs(steps: nn.Module, from_input: Array) -> Float[Array, "steps n hidden"]:
    return _course(steps, from_input).hidden


def _forward(steps: nn.Module, from_input: Array) -> tuple[Array, tuple[Course, Array]]:
    course = _course(steps, from_input)
    return course.hidden, (course, steps.variables["params"]["kernel"])


def _backward(dtype: str, residuals: tuple[Course, Array], to_hidden: Array) -> tuple[dict[str, Any], Array]:
    """Gradients of the parameters and of `from_input`, given those of the outputs."""
    course, kernel = residuals
    zeros = jnp.zeros_like(course.cell[:1])
    hidden_before, cell_before = (jnp.concatenate([zeros, values[:-1]]) for values in (course.hidden, course.cell))
    transposed = kernel.T.astype(dtype)

    def step(later: tuple[Array, Array], at: tuple[Array, ...]) -> tuple[tuple[Array, Array], Array]:
        to_cell, to_next = later
        gates, cell_tanh, before, to_output = at
        into, keep, candidate, out = jnp.split(gates, 4, axis=-1)
        to_output = to_output + to_next
        to_cell = to_cell + to_output * out * (1 - cell_tanh**2)
        # The barriers keep XLA's CPU backend from recomputing this for each use.
        to_cell, to_output = jax.lax.optimization_barrier((to_cell, to_output))
        parts = to_cell * candidate, to_cell * before, to_cell * into, to_output * cell_tanh
        to_gates = jax.lax.optimization_barrier(jnp.concatenate(parts, axis=-1) * _slope(gates))
        return (to_cell * keep, matmul(to_gates, transposed, dtype)), to_gates

    each = (course.gates, jnp.tanh(course.cell), cell_before, to_hidden)
    _, to_gates = jax.lax.scan(step, (zeros[0], zeros[0]), each, reverse=True)
    flat = to_gates.reshape(-1, to_gates.shape[-1])
    to_kernel = matmul(hidden_before.reshape(len(flat), -1).T, flat, dtype)
    return {"params": {"kernel": to_kernel, "bias": flat.sum(0)}}, to_gates


class InputGates(nn.Module):
    """The input part of the gates, for all steps at once."""

    hidden_size: int
    start: Start
    compute_dtype: str = "float32"

    @nn.compact
    def __call__(self, sequence: Float[Array, "steps n inputs"]) -> Float[Array, "steps n 4*hidden"]:
        kernel = self.param("kernel", self.start.input_kernel, (sequence.shape[-1], 4 * self.hidden_size))
        bias = self.param("bias", self.start.input_bias, (4 * self.hidden_size,))
        return matmul(sequence, kernel, self.compute_dtype) + bias


class LSTM(nn.Module):
    """`num_layers` stacked LSTM layers with forget gates (Hochreiter & Schmidhuber 1997), starting from a zero state.

    Both parts of the gates have a bias, as in cuDNN and PyTorch. Products are computed in `compute_dtype`; states, sums
    and parameters are float32.
    """

    hidden_size: int
    num_layers: int
    compute_dtype: str = "float32"
    initialization: str = "looks_linear"

    @nn.compact
    def __call__(self, sequence: Float[Array, "steps n inputs"]) -> Float[Array, "steps n hidden"]:
        scan = nn.scan(LSTMStep, variable_broadcast="params", split_rngs={"params": False}, in_axes=0, out_axes=0)
        recurrence = nn.custom_vjp(_outputs, _forward, functools.partial(_backward, self.compute_dtype))
        for layer in range(self.num_layers):
            start = _start(self.initialization, layer, self.hidden_size)
            gates = InputGates(self.hidden_size, start, self.compute_dtype, name=f"layer{layer}_input")(sequence)
            steps = scan(self.hidden_size, start, self.compute_dtype, name=f"layer{layer}_recurrent")
            sequence = recurrence(steps, gates)
        return sequence
