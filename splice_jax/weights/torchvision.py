"""Converts torchvision's ResNet-18 and VGG-16 to Flax variables.

The names and shapes of torchvision's tensors are derived from the Flax modules, so there is no list of what a file must
hold.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from splice_jax.errors import UserError, listed
from splice_jax.files import writable_folder
from splice_jax.models.resnet import ResNet18
from splice_jax.models.vgg import CONVOLUTIONS, VGG16
from splice_jax.weights.archive import save_variables
from splice_jax.weights.download import download, is_url
from splice_jax.weights.files import read_tensors

_VARIABLES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


class Network(NamedTuple):
    """A network that both torchvision and this package have."""

    title: str
    module: nn.Module
    torch_name: Callable[[str], str]  # of a Flax module's path
    last_layer: str  # torchvision's name of the classification layer, which has no counterpart
    usage: str  # what to do with a file of its variables, {}


class Tensor(NamedTuple):
    """One of torchvision's tensors, and the variable it becomes."""

    shape: tuple[int, ...]
    variable: tuple[str, ...]
    variable_shape: tuple[int, ...]


class Converted(NamedTuple):
    """What was written."""

    network: Network
    parameters: int


def convert(source: str, output: Path) -> Converted:
    """Writes torchvision's weights as Flax variables, in the form of `splice_jax.weights.archive`.

    Args:
        source: path or https URL of a .pth, .safetensors or .npz file.
        output: the file to write; nothing is left there after an error.

    Raises:
        UserError: the file is unavailable, not safe to load, or holds something else.
    """
    if not is_url(source):
        path = Path(source)
        if path.exists() and output.exists() and output.samefile(path):
            raise UserError(f"--output={output}: is the file to convert; choose another")
        return _convert(path, output)
    with tempfile.TemporaryDirectory(prefix=f".{output.stem}.", dir=writable_folder(output.parent)) as folder:
        path = download(source, Path(folder))
        try:
            return _convert(path, output)
        except UserError as error:
            raise UserError(str(error).replace(str(path), source)) from error


def _convert(path: Path, output: Path) -> Converted:
    network, variables = from_torchvision(read_tensors(path), str(path))
    save_variables(variables, output)
    return Converted(network, sum(leaf.size for leaf in jax.tree.leaves(variables["params"])))


def from_torchvision(tensors: Mapping[str, np.ndarray], source: str) -> tuple[Network, dict[str, Any]]:
    """The network these tensors belong to, and its variables in float32.

    Args:
        tensors: by torchvision's names. The last layer and `num_batches_tracked` are not needed.
        source: where they come from, for messages.

    Raises:
        UserError: tensors are missing, left over, misshapen, not floating-point or not finite.
    """
    network, wanted = _nearest(set(tensors), source)
    wrong = _differences(tensors, wanted, network.last_layer)
    if wrong:
        raise UserError(f"{source}: is not torchvision's {network.title}, the nearest network; {'; '.join(wrong)}")
    variables = {tensor.variable: _variable(tensors[name], tensor) for name, tensor in wanted.items()}
    broken = [name for name, tensor in wanted.items() if not np.isfinite(variables[tensor.variable]).all()]
    if broken:
        raise UserError(f"{source}: is damaged; NaN or infinite: {listed(broken)}")
    return network, unflatten_dict(variables)


def _differences(tensors: Mapping[str, np.ndarray], wanted: Mapping[str, Tensor], last_layer: str) -> list[str]:
    present = [name for name in wanted if name in tensors]
    wrong = {
        "missing": [name for name in wanted if name not in tensors],
        "left over": sorted(name for name in tensors if name not in wanted and not _ignored(name, last_layer)),
        "misshapen": [
            f"{name} {tensors[name].shape} instead of {wanted[name].shape}"
            for name in present
            if tensors[name].shape != wanted[name].shape
        ],
        "not floating-point": [name for name in present if not np.issubdtype(tensors[name].dtype, np.floating)],
    }
    return [f"{what}: {listed(names, most=4)}" for what, names in wrong.items() if names]


def _ignored(name: str, last_layer: str) -> bool:
    return name.endswith(".num_batches_tracked") or name in (f"{last_layer}.weight", f"{last_layer}.bias")


def _nearest(names: set[str], source: str) -> tuple[Network, dict[str, Tensor]]:
    candidates = [(network, dict(_tensors(network))) for network in NETWORKS]
    network, wanted = min(candidates, key=lambda candidate: len(names ^ set(candidate[1])))
    if any(name.startswith("params/") for name in names):
        raise UserError(f"{source}: holds Flax variables already; there is nothing to convert")
    if not names & set(wanted):
        held = f"holds {listed(sorted(names))}" if names else "is empty"
        raise UserError(f"{source}: {held}; give torchvision's {' or '.join(network.title for network in NETWORKS)}")
    return network, wanted


def _tensors(network: Network) -> Iterator[tuple[str, Tensor]]:
    shapes = jax.eval_shape(network.module.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    for path, leaf in flatten_dict(shapes).items():
        _, *modules, variable = path
        module = network.torch_name("/".join(modules))
        shape = leaf.shape
        if variable == "kernel":  # torchvision's dense layers may be convolutions here
            height, width, inputs, outputs = leaf.shape
            dense = module.startswith("classifier.")
            shape = (outputs, inputs * height * width) if dense else (outputs, inputs, height, width)
        yield f"{module}.{_VARIABLES[variable]}", Tensor(shape, path, leaf.shape)


def _variable(values: np.ndarray, tensor: Tensor) -> np.ndarray:
    if tensor.variable[-1] == "kernel":
        height, width, inputs, outputs = tensor.variable_shape
        values = values.reshape(outputs, inputs, height, width).transpose(2, 3, 1, 0)
    with np.errstate(over="ignore"):  # float64 may be too large, and is then refused
        return np.ascontiguousarray(values, np.float32)


def _resnet_name(path: str) -> str:
    renamed = path.replace("downsample_conv", "downsample.0").replace("downsample_bn", "downsample.1")
    return renamed.replace("_", ".").replace("/", ".")


def _vgg_names(*, batch_norm: bool) -> dict[str, str]:
    names = {"fc6": "classifier.0", "fc7": "classifier.3"}
    position = 0  # torchvision counts every layer: convolution, BatchNorm (if any), ReLU and pooling
    for stage, convolutions in enumerate(CONVOLUTIONS, 1):
        for layer in range(1, convolutions + 1):
            names[f"conv{stage}_{layer}"] = f"features.{position}"
            names[f"bn{stage}_{layer}"] = f"features.{position + 1}"
            position += 3 if batch_norm else 2
        position += 1
    return names


def _vgg(title: str, *, batch_norm: bool) -> Network:
    names = _vgg_names(batch_norm=batch_norm).__getitem__
    usage = "--config=mfcn --config.trunk_weights={}" if batch_norm else "splice_jax.models.vgg.VGG16"
    return Network(title, VGG16(batch_norm=batch_norm), names, "classifier.6", usage)


NETWORKS = (
    Network("ResNet-18", ResNet18(), _resnet_name, "fc", "--config.global_network=resnet18 --config.global_weights={}"),
    _vgg("VGG-16", batch_norm=False),
    _vgg("VGG-16 with BatchNorm", batch_norm=True),
)
