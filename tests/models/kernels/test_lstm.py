from typing import Any

import jax
import numpy as np
import pytest

from splice_jax.models.kernels.lstm import LSTM

STEPS, BATCH, INPUTS, HIDDEN = 5, 3, 4, 6
SEQUENCE = np.random.default_rng(0).standard_normal((STEPS, BATCH, INPUTS)).astype(np.float32)


def drawn_parameters(layers: int, scale: float = 0.7) -> dict[str, dict[str, np.ndarray]]:
    random = np.random.default_rng(1)
    parameters = {}
    for layer in range(layers):
        for half, inputs in (("input", HIDDEN if layer else INPUTS), ("recurrent", HIDDEN)):
            parameters[f"layer{layer}_{half}"] = {
                "kernel": scale * random.standard_normal((inputs, 4 * HIDDEN)).astype(np.float32),
                "bias": scale * random.standard_normal(4 * HIDDEN).astype(np.float32),
            }
    return parameters


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def looped(parameters: dict[str, dict[str, np.ndarray]], sequence: np.ndarray, layers: int) -> np.ndarray:
    for layer in range(layers):
        first, second = (parameters[f"layer{layer}_{half}"] for half in ("input", "recurrent"))
        hidden = cell = np.zeros((sequence.shape[1], HIDDEN))
        outputs = []
        for values in sequence.astype(np.float64):
            gates = values @ first["kernel"] + first["bias"] + hidden @ second["kernel"] + second["bias"]
            i, f, g, o = np.split(gates, 4, axis=1)
            cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
            hidden = sigmoid(o) * np.tanh(cell)
            outputs.append(hidden)
        sequence = np.array(outputs)
    return sequence


@pytest.mark.parametrize("layers", [1, 3])
def test_lstm_equals_a_plain_loop(layers: int) -> None:
    parameters = drawn_parameters(layers)
    found = jax.jit(LSTM(HIDDEN, layers).apply)({"params": parameters}, SEQUENCE)
    np.testing.assert_allclose(found, looped(parameters, SEQUENCE, layers), atol=1e-5)


@pytest.mark.parametrize("jit", [False, True])
def test_gradients_equal_those_of_a_plain_loop_in_float64(jit: bool) -> None:
    parameters, weights = drawn_parameters(2), np.random.default_rng(2).standard_normal((STEPS, BATCH, HIDDEN))

    def loss(parameters: Any, sequence: Any) -> Any:
        outputs: Any = LSTM(HIDDEN, 2).apply({"params": parameters}, sequence)
        return (outputs * weights).sum()

    gradient = jax.grad(loss, (0, 1))
    found = (jax.jit(gradient) if jit else gradient)(parameters, SEQUENCE)
    leaves, tree = jax.tree.flatten((parameters, SEQUENCE))
    for number, leaf in enumerate(leaves):
        expected, step = np.zeros(leaf.shape), 1e-5
        for index in np.ndindex(leaf.shape):
            moved = []
            for sign in (1, -1):
                changed = [values.astype(np.float64) for values in leaves]
                changed[number][index] += sign * step
                there, sequence = jax.tree.unflatten(tree, changed)
                moved.append((looped(there, sequence, 2) * weights).sum())
            expected[index] = (moved[0] - moved[1]) / (2 * step)
        np.testing.assert_allclose(jax.tree.leaves(found)[number], expected, atol=2e-5, rtol=2e-5)


def test_bfloat16_gradients_come_close() -> None:
    parameters = drawn_parameters(2)

    def loss(parameters: Any, dtype: str) -> Any:
        outputs: Any = LSTM(HIDDEN, 2, dtype).apply({"params": parameters}, SEQUENCE)
        return (outputs**2).sum()

    gradients = [jax.grad(loss)(parameters, dtype) for dtype in ("float32", "bfloat16")]
    for exact, rounded in zip(*map(jax.tree.leaves, gradients), strict=True):
        assert rounded.dtype == np.float32
        assert 0 < np.abs(rounded - exact).max() < 0.05 * np.abs(exact).max()


def test_bfloat16_products_come_close_and_change_no_parameter_or_output_type() -> None:
    parameters = drawn_parameters(2)
    found = jax.jit(LSTM(HIDDEN, 2, "bfloat16").apply)({"params": parameters}, SEQUENCE)
    error = np.abs(found - looped(parameters, SEQUENCE, 2)).max()
    assert found.dtype == np.float32
    assert 1e-4 < error < 0.03
    shapes = jax.eval_shape(LSTM(HIDDEN, 2, "bfloat16").init, jax.random.key(0), SEQUENCE)
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {np.dtype(np.float32)}


def test_later_inputs_do_not_reach_back() -> None:
    apply = jax.jit(LSTM(HIDDEN, 1).apply)
    changed = SEQUENCE.copy()
    changed[3] += 1
    before, after = (apply({"params": drawn_parameters(1)}, sequence) for sequence in (SEQUENCE, changed))
    np.testing.assert_array_equal(before[:3], after[:3])
    assert np.all(before[3:] != after[3:])


def test_the_papers_lstm_has_as_many_parameters_as_pytorchs() -> None:
    shapes = jax.eval_shape(LSTM(256, 3).init, jax.random.key(0), np.zeros((64, 1, 64), np.float32))
    by_hand = 4 * 256 * (64 + 256 + 2) + 2 * 4 * 256 * (256 + 256 + 2)
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == by_hand == 1_382_400


def test_initial_gates_are_orthogonal_remembering_and_driven_by_inputs() -> None:
    hidden, inputs = 8, 400
    variables = jax.jit(LSTM(hidden, 1).init)(jax.random.key(0), np.zeros((1, 1, inputs), np.float32))
    first, second = (variables["params"][f"layer0_{half}"] for half in ("input", "recurrent"))
    assert np.std(first["kernel"]) == pytest.approx(2 * inputs**-0.5, rel=0.03)
    gates = np.split(np.asarray(second["kernel"]), 4, axis=1)
    for gate in gates:
        np.testing.assert_allclose(gate.T @ gate, np.eye(hidden), atol=1e-5)
    assert not np.array_equal(gates[0], gates[1])
    np.testing.assert_array_equal(first["bias"] + second["bias"], np.repeat([0, 1, 0, 0], hidden))


def test_three_layers_start_as_one() -> None:
    sequence = 0.1 * np.random.default_rng(0).standard_normal((8, 4, 64)).astype(np.float32)
    network = LSTM(256, 3)
    variables = jax.jit(network.init)(jax.random.key(0), sequence)
    first = {name: layer for name, layer in variables["params"].items() if name.startswith("layer0")}
    one = np.asarray(jax.jit(LSTM(256, 1).apply)({"params": first}, sequence))
    three = np.asarray(jax.jit(network.apply)(variables, sequence))
    assert np.corrcoef(one.ravel(), three.ravel())[0, 1] > 0.7
    assert 0.7 < three.std() / one.std() < 2


def test_the_baselines_weights_start_as_pytorchs() -> None:
    network = LSTM(64, 2, initialization="baseline")
    variables = jax.jit(network.init)(jax.random.key(0), np.zeros((1, 1, 64), np.float32))
    for leaf in jax.tree.leaves(variables["params"]):
        assert 0.95 / 8 < np.abs(leaf).max() <= 1 / 8
