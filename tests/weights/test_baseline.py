"""The baseline's tensors: names, axes and what is refused. Numbers against PyTorch itself: tests/test_parity.py."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from splice_jax.errors import UserError
from splice_jax.models.semi_global import SemiGlobalNetwork, initial_variables
from splice_jax.weights import baseline


@functools.cache
def shapes(arch: str) -> dict[str, Any]:
    network = SemiGlobalNetwork(64, 2, global_network=baseline.ARCHITECTURES[arch])
    return jax.eval_shape(functools.partial(initial_variables, network), jax.random.key(0))


@functools.cache
def tensors(arch: str) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: random.standard_normal(leaf.shape).astype(np.float32), shapes(arch))
    return baseline.from_variables(variables, arch)


def converted(arch: str, **changes: Any) -> dict[str, Any]:
    state = {name: tensor for name, tensor in (tensors(arch) | changes).items() if tensor is not None}
    return baseline.to_variables(state, arch, shapes(arch), source="file.pth")


@pytest.mark.parametrize("arch", baseline.ARCHITECTURES)
def test_there_and_back_is_the_same_bit_for_bit(arch: str) -> None:
    variables = converted(arch)
    assert jax.tree.map(np.shape, variables) == jax.tree.map(lambda leaf: leaf.shape, shapes(arch))
    again = baseline.from_variables(variables, arch)
    assert {name: array.tobytes() for name, array in again.items()} == {
        name: array.tobytes() for name, array in tensors(arch).items()
    }


def test_names_are_the_released_program_s() -> None:
    local = ["encode_lstm.conv1.weight", "encode_lstm.conv2.weight"]
    for layer in (0, 1):
        local += [f"encode_lstm.lstm.{name}_l{layer}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    heads = ["classification.linear.weight", "classification.linear.bias"]
    heads += [f"Segmentation.conv{number}.weight" for number in (3, 4, 5)]
    dense = [f"global_network.global_classification.{name}" for name in ("weight", "bias")]
    assert list(tensors("jcs")) == local + heads
    inside = {}
    for arch in ("sgn", "res_sgn"):
        names = list(tensors(arch))
        assert names[: len(local)] == local and names[-len(heads) - 2 :] == dense + heads
        inside[arch] = [name.removeprefix("global_network.global_network.") for name in names[10:-7]]
    norm = ["weight", "bias", "running_mean", "running_var"]
    first = ["0.weight", "0.bias", *(f"2.{name}" for name in norm), "3.weight", "3.bias"]
    assert inside["sgn"][:8] == first and inside["sgn"][-2:] == ["12.weight", "12.bias"]
    assert inside["res_sgn"][:6] == ["0.weight", *(f"1.{name}" for name in norm), "4.0.conv1.weight"]
    downsampled = [name for name in inside["res_sgn"] if "downsample.0" in name]
    assert downsampled == [f"{child}.0.downsample.0.weight" for child in (5, 6, 7)]
    assert len(inside["sgn"]) == 10 + 16 and len(inside["res_sgn"]) == 20 + 20 * 4


def test_axes_of_one_element_of_each_kind() -> None:
    variables = converted("sgn")["params"]
    state = tensors("sgn")
    assert state["encode_lstm.conv1.weight"].shape == (16, 3, 5, 5)
    assert variables["local_network"]["conv1"][3, 1, 2, 7] == state["encode_lstm.conv1.weight"][7, 2, 3, 1]
    assert state["encode_lstm.lstm.weight_ih_l1"].shape == (4 * 64, 64)
    layer = variables["local_network"]["lstm"]["layer1_input"]
    assert layer["kernel"][5, 3 * 64 + 2] == state["encode_lstm.lstm.weight_ih_l1"][3 * 64 + 2, 5]  # the output gate
    recurrent = variables["local_network"]["lstm"]["layer1_recurrent"]
    np.testing.assert_array_equal(recurrent["bias"], state["encode_lstm.lstm.bias_hh_l1"])
    assert variables["label_head"]["kernel"][64 + 9, 1] == state["classification.linear.weight"][1, 64 + 9]
    # PyTorch flattens the map of 64 channels channel by channel, Flax pixel by pixel.
    weight = state["global_network.global_classification.weight"]
    channel, row, column = 11, 2, 5
    kernel = variables["global_dense"]["kernel"]
    assert kernel[(7 * row + column) * 64 + channel, 200] == weight[200, (channel * 7 + row) * 7 + column]


def test_what_the_optimizer_holds_is_everything_but_statistics_and_the_resnet() -> None:
    assert [len(baseline.trained_names(arch, 2)) for arch in ("jcs", "sgn", "res_sgn")] == [15, 15 + 18 + 2, 15 + 2]
    assert not any("running" in name for name in baseline.trained_names("sgn", 2))


def test_prefixes_come_and_go_and_counters_are_left_out() -> None:
    parallel = baseline.parallel_names(tensors("sgn"))
    assert all(name.startswith("module.") for name in parallel)
    assert list(baseline.plain_names(parallel)) == list(tensors("sgn"))
    counter = {"global_network.global_network.2.num_batches_tracked": np.array(7)}
    jax.tree.map(np.testing.assert_array_equal, converted("sgn", **counter), converted("sgn"))


def test_the_lstm_s_size_is_read_off_its_weights() -> None:
    assert baseline.lstm_size(tensors("jcs")) == (64, 2)
    assert baseline.lstm_size({}) == (256, 3)


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and message.startswith("file.pth: does not hold the weights of ")
    return message.partition("; ")[2]


def test_missing_extra_and_misshapen_tensors_are_named() -> None:
    changes = {
        "classification.linear.bias": None,
        "encode_lstm.conv3.weight": np.zeros(1),
        "Segmentation.conv4.weight": np.zeros((2, 32, 3, 3), np.float32),
    }
    assert refused(lambda: converted("jcs", **changes)) == (
        "missing: classification.linear.bias; left over: encode_lstm.conv3.weight; "
        "misshapen: Segmentation.conv4.weight is [2, 32, 3, 3], expected [2, 32, 5, 5]"
    )


def test_another_architecture_s_tensors_are_named() -> None:
    message = refused(lambda: baseline.to_variables(tensors("sgn"), "jcs", shapes("jcs"), source="file.pth"))
    assert message.startswith("left over: global_network.global_network.0.weight, ") and "misshapen: class" in message


def test_values_that_are_not_finite_are_named() -> None:
    broken = tensors("jcs")["Segmentation.conv5.weight"].copy()
    broken[0, 0, 0, 0] = np.nan
    assert refused(lambda: converted("jcs", **{"Segmentation.conv5.weight": broken})) == (
        "not finite: Segmentation.conv5.weight"
    )
