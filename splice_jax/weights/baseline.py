"""The tensors of the PyTorch baseline as Flax variables, and back: names, axes and shapes. Needs no PyTorch.

Names and layouts are those of Cun & Pun's released program, which runs PyTorch 0.4, and of torchvision's ResNet-18,
whose children it numbers. Values are only rearranged: a tensor converted back and forth is the same, bit for bit.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from splice_jax.errors import UserError, listed

ARCHITECTURES = {"jcs": "none", "sgn": "cnn", "res_sgn": "resnet18"}
"""The global network of each architecture."""

COUNTERS = ".num_batches_tracked"
"""Suffix of integer tensors that PyTorch 0.4.0 did not have and that affect nothing."""

_PARALLEL = "module."  # prefix of every name if the program ran on several devices
_CNN_LAYERS, _CNN_SIDE = 5, 7


class Layout(NamedTuple):
    """How an array is converted in either direction."""

    to_flax: Callable[[np.ndarray], np.ndarray]
    to_torch: Callable[[np.ndarray], np.ndarray]


class Place(NamedTuple):
    """Where an array goes among the Flax variables."""

    path: str
    layout: Layout


def _channels_last_inputs(weight: np.ndarray) -> np.ndarray:
    channels_first = weight.reshape(len(weight), -1, _CNN_SIDE, _CNN_SIDE)
    return channels_first.transpose(2, 3, 1, 0).reshape(-1, len(weight))


def _channels_first_inputs(kernel: np.ndarray) -> np.ndarray:
    channels_last = kernel.reshape(_CNN_SIDE, _CNN_SIDE, -1, kernel.shape[1])
    return channels_last.transpose(3, 2, 0, 1).reshape(kernel.shape[1], -1)


AS_IT_IS = Layout(lambda array: array, lambda array: array)
CONVOLUTION = Layout(lambda array: array.transpose(2, 3, 1, 0), lambda array: array.transpose(3, 2, 0, 1))
DENSE = Layout(lambda array: array.T, lambda array: array.T)
DENSE_OF_MAP = Layout(_channels_last_inputs, _channels_first_inputs)
"""A dense layer on flattened features: channel by channel in PyTorch, pixel by pixel in Flax."""


def places(arch: str, layers: int) -> dict[str, Place]:
    """Every tensor of an architecture with `layers` LSTM layers, by name, in the released program's order."""
    table = {f"encode_lstm.conv{n}.weight": Place(f"params/local_network/conv{n}", CONVOLUTION) for n in (1, 2)}
    for layer in range(layers):
        for theirs, ours, layout in (("weight", "kernel", DENSE), ("bias", "bias", AS_IT_IS)):
            for half, name in (("ih", "input"), ("hh", "recurrent")):
                path = f"params/local_network/lstm/layer{layer}_{name}/{ours}"
                table[f"encode_lstm.lstm.{theirs}_{half}_l{layer}"] = Place(path, layout)
    if arch != "jcs":
        features = _cnn() if arch == "sgn" else _resnet()
        table |= {f"global_network.global_network.{name}": place for name, place in features.items()}
        layout = DENSE_OF_MAP if arch == "sgn" else DENSE
        table |= _dense("global_network.global_classification", "global_dense", layout)
    table |= _dense("classification.linear", "label_head", DENSE)
    return table | {
        f"Segmentation.conv{n}.weight": Place(f"params/mask_head/conv{n - 2}", CONVOLUTION) for n in (3, 4, 5)
    }


def _dense(name: str, module: str, layout: Layout) -> dict[str, Place]:
    return {
        f"{name}.weight": Place(f"params/{module}/kernel", layout),
        f"{name}.bias": Place(f"params/{module}/bias", AS_IT_IS),
    }


def _norm(name: str, module: str) -> dict[str, Place]:
    names = {"weight": "params/{}/scale", "bias": "params/{}/bias"}
    names |= {"running_mean": "batch_stats/{}/mean", "running_var": "batch_stats/{}/var"}
    return {f"{name}.{theirs}": Place(ours.format(module), AS_IT_IS) for theirs, ours in names.items()}


def _cnn() -> dict[str, Place]:
    """Convolution, ReLU and BatchNorm are children of one sequence."""
    table: dict[str, Place] = {}
    for layer in range(_CNN_LAYERS):
        conv = f"params/global_cnn/conv{layer + 1}"
        table[f"{3 * layer}.weight"] = Place(f"{conv}/kernel", CONVOLUTION)
        table[f"{3 * layer}.bias"] = Place(f"{conv}/bias", AS_IT_IS)
        if layer + 1 < _CNN_LAYERS:
            table |= _norm(f"{3 * layer + 2}", f"global_cnn/bn{layer + 1}")
    return table


def _resnet() -> dict[str, Place]:
    """torchvision's, whose children conv1, bn1, relu, maxpool, layer1 … are numbered."""
    table = {"0.weight": Place("params/resnet/conv1/kernel", CONVOLUTION), **_norm("1", "resnet/bn1")}
    for stage in range(1, 5):
        for block in (0, 1):
            theirs, ours = f"{stage + 3}.{block}", f"resnet/layer{stage}_{block}"
            units = [(f"conv{n}", f"conv{n}", f"bn{n}", f"bn{n}") for n in (1, 2)]
            if stage > 1 and block == 0:
                units.append(("downsample.0", "downsample_conv", "downsample.1", "downsample_bn"))
            for conv, our_conv, norm, our_norm in units:
                table[f"{theirs}.{conv}.weight"] = Place(f"params/{ours}/{our_conv}/kernel", CONVOLUTION)
                table |= _norm(f"{theirs}.{norm}", f"{ours}/{our_norm}")
    return table


def plain_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors without the prefix that PyTorch's DataParallel adds to their names."""
    return {str(name).removeprefix(_PARALLEL): tensor for name, tensor in state.items()}


def parallel_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors with that prefix."""
    return {_PARALLEL + name: tensor for name, tensor in state.items()}


def lstm_size(state: Mapping[str, Any]) -> tuple[int, int]:
    """Hidden size and number of layers of a checkpoint's LSTM; the paper's if it has none."""
    layers = sum(name.startswith("encode_lstm.lstm.weight_hh_l") for name in state)
    shape = np.shape(state.get("encode_lstm.lstm.weight_hh_l0", ()))
    return (int(shape[1]) if len(shape) == 2 else 256), layers or 3


def to_variables(state: Mapping[str, Any], arch: str, like: Mapping[str, Any], *, source: str) -> dict[str, Any]:
    """Converts the tensors `state`, with plain names, to Flax variables.

    Args:
        state: NumPy arrays, or anything NumPy can convert; names ending in `COUNTERS` are ignored.
        arch: a key of `ARCHITECTURES`.
        like: the network's variables, or their shapes.
        source: what to call the source in errors.

    Raises:
        UserError: tensors are missing, left over, misshapen or not finite; each is named.
    """
    shapes = {path: leaf.shape for path, leaf in flatten_dict(like, sep="/").items()}
    table = places(arch, lstm_size(state)[1])
    tensors = {name: tensor for name, tensor in state.items() if not name.endswith(COUNTERS)}
    wrong = {
        "missing": [name for name in table if name not in tensors],
        "left over": [name for name in tensors if name not in table],
        "misshapen": [text for name in table if name in tensors and (text := _misfit(name, tensors, table, shapes))],
    }
    if not any(wrong.values()):
        arrays = {name: np.asarray(tensors[name], np.float32) for name in table}
        wrong = {"not finite": [name for name, array in arrays.items() if not np.isfinite(array).all()]}
    if any(wrong.values()):
        kinds = "; ".join(f"{kind}: {listed(names, most=20)}" for kind, names in wrong.items() if names)
        raise UserError(f"{source}: does not hold the weights of {arch}; {kinds}")
    flat = {place.path: np.ascontiguousarray(place.layout.to_flax(arrays[name])) for name, place in table.items()}
    return unflatten_dict(flat, sep="/")


def _misfit(name: str, tensors: Mapping[str, Any], table: Mapping[str, Place], shapes: Mapping[str, Any]) -> str:
    place = table[name]
    expected = list(place.layout.to_torch(np.broadcast_to(np.float32(0), shapes[place.path])).shape)
    found = list(np.shape(tensors[name]))
    return "" if found == expected else f"{name} is {found}, expected {expected}"


def from_variables(variables: Mapping[str, Any], arch: str) -> dict[str, np.ndarray]:
    """A network's tensors by plain name, in the released program's order; the inverse of `to_variables`."""
    flat = flatten_dict(variables, sep="/")
    layers = sum(path.endswith("_recurrent/kernel") for path in flat)
    return {
        name: np.ascontiguousarray(place.layout.to_torch(np.asarray(flat[place.path])))
        for name, place in places(arch, layers).items()
    }


def trained_names(arch: str, layers: int) -> list[str]:
    """The names of the tensors in the released program's optimizer, in its order."""
    frozen = "global_network.global_network." if arch == "res_sgn" else "\0"
    table = places(arch, layers).items()
    return [name for name, place in table if place.path.startswith("params/") and not name.startswith(frozen)]
