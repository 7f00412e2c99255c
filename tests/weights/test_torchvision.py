"""torchvision's weights: equal features in PyTorch and here, equal variables from every format, clear refusals.

The networks are written out by torchvision's names; they need neither torchvision nor, but for their values, PyTorch.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

import splice_jax
from splice_jax import cli
from splice_jax.errors import UserError
from splice_jax.models.resnet import ResNet18
from splice_jax.models.vgg import VGG16
from splice_jax.weights import torchvision
from splice_jax.weights.archive import load_variables
from splice_jax.weights.torchvision import convert, from_torchvision

Tensors = dict[str, np.ndarray]
VGG16_LAYERS = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"]
MISSING_TORCH = "needs the extra [torch]"


def norm_shapes(name: str, width: int) -> Iterator[tuple[str, tuple]]:
    for tensor in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{tensor}", (width,)
    yield f"{name}.num_batches_tracked", ()


def resnet18_shapes() -> Iterator[tuple[str, tuple]]:
    yield "conv1.weight", (64, 3, 7, 7)
    yield from norm_shapes("bn1", 64)
    inputs = 64
    for stage, width in enumerate((64, 128, 256, 512), 1):
        for block in (0, 1):
            name = f"layer{stage}.{block}"
            for layer in (1, 2):
                yield f"{name}.conv{layer}.weight", (width, inputs if layer == 1 else width, 3, 3)
                yield from norm_shapes(f"{name}.bn{layer}", width)
            if inputs != width:
                yield f"{name}.downsample.0.weight", (width, inputs, 1, 1)
                yield from norm_shapes(f"{name}.downsample.1", width)
            inputs = width
    yield from (("fc.weight", (1000, 512)), ("fc.bias", (1000,)))


def vgg16_shapes(batch_norm: bool) -> Iterator[tuple[str, tuple]]:
    index, inputs = 0, 3
    for width in VGG16_LAYERS:
        if isinstance(width, int):
            yield from ((f"features.{index}.weight", (width, inputs, 3, 3)), (f"features.{index}.bias", (width,)))
            if batch_norm:
                yield from norm_shapes(f"features.{index + 1}", width)
            index, inputs = index + 1 + batch_norm, width
        index += 1
    for index, sizes in ((0, (4096, 25088)), (3, (4096, 4096)), (6, (1000, 4096))):
        yield from ((f"classifier.{index}.weight", sizes), (f"classifier.{index}.bias", sizes[:1]))


def drawn(shapes: Iterator[tuple[str, tuple]]) -> Tensors:
    """Random weights and statistics that keep the signal's size."""
    random = np.random.default_rng(0)

    def values(name: str, shape: tuple) -> np.ndarray:
        if name.endswith("num_batches_tracked"):
            return np.array(5)
        if len(shape) > 1:
            normal = random.standard_normal(10_007, np.float32)  # a prime: no two channels see the same
            return np.resize(normal * np.float32(np.sqrt(2 / np.prod(shape[1:]))), shape)
        low, high = (-0.3, 0.3) if name.endswith(("bias", "mean")) else (0.5, 1.5)
        return random.uniform(low, high, shape).astype(np.float32)

    return {name: values(name, shape) for name, shape in shapes}


class Reference:
    """The networks in PyTorch, of tensors by torchvision's names; channels last on the outside."""

    def __init__(self, tensors: Tensors) -> None:
        torch = pytest.importorskip("torch", reason=MISSING_TORCH)
        self.tensors = {name: torch.from_numpy(array) for name, array in tensors.items()}
        self.functional, self.from_numpy, self.no_grad = torch.nn.functional, torch.from_numpy, torch.no_grad

    def conv(self, name: str, image: Any, stride: int, padding: int) -> Any:
        bias = self.tensors.get(f"{name}.bias")
        return self.functional.conv2d(image, self.tensors[f"{name}.weight"], bias, stride, padding)

    def norm(self, name: str, image: Any) -> Any:
        names = ("running_mean", "running_var", "weight", "bias")
        return self.functional.batch_norm(image, *(self.tensors[f"{name}.{tensor}"] for tensor in names))

    def resnet18(self, image: np.ndarray) -> np.ndarray:
        relu, conv, norm = self.functional.relu, self.conv, self.norm
        with self.no_grad():
            x = relu(norm("bn1", conv("conv1", self.from_numpy(image).permute(0, 3, 1, 2), 2, 3)))
            x = self.functional.max_pool2d(x, 3, 2, 1)
            for stage in range(1, 5):
                for block in (0, 1):
                    name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
                    residual = relu(norm(f"{name}.bn1", conv(f"{name}.conv1", x, stride, 1)))
                    residual = norm(f"{name}.bn2", conv(f"{name}.conv2", residual, 1, 1))
                    if f"{name}.downsample.0.weight" in self.tensors:
                        x = norm(f"{name}.downsample.1", conv(f"{name}.downsample.0", x, stride, 0))
                    x = relu(x + residual)
            return self.functional.adaptive_avg_pool2d(x, 1).flatten(1).numpy()

    def vgg16(self, image: np.ndarray) -> list[np.ndarray]:
        """What the five poolings give."""
        pools, index = [], 0
        with self.no_grad():
            x = self.from_numpy(image).permute(0, 3, 1, 2)
            for layer in VGG16_LAYERS:
                if layer == "M":
                    x = self.functional.max_pool2d(x, 2, 2)
                    pools.append(x.permute(0, 2, 3, 1).numpy())
                else:
                    x = self.conv(f"features.{index}", x, 1, 1)
                    if f"features.{index + 1}.running_mean" in self.tensors:
                        index += 1
                        x = self.norm(f"features.{index}", x)
                    x = self.functional.relu(x)
                    index += 1
                index += 1
        return pools

    def classifier(self, pool5: np.ndarray) -> np.ndarray:
        """A map of 7 x 7 to what the last layer sees; in inference there is no dropout."""
        with self.no_grad():
            x = self.from_numpy(pool5).permute(0, 3, 1, 2).flatten(1)
            for name in ("classifier.0", "classifier.3"):
                x = self.functional.linear(x, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])
                x = self.functional.relu(x)
            return x.numpy()


@pytest.fixture(scope="module")
def resnet18() -> Tensors:
    return drawn(resnet18_shapes())


class Done(NamedTuple):
    """What the command ended in."""

    code: Any
    out: str
    err: str


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    def call(*arguments: object) -> Done:
        with pytest.raises(SystemExit) as caught:
            cli.main(["weights", *map(str, arguments)])
        return Done(caught.value.code, *capsys.readouterr())

    return call


def saved(tensors: Mapping[str, Any], path: Path) -> Path:
    np.savez(path, **tensors)
    return path


def saved_by_torch(tensors: Tensors, path: Path, *, legacy: bool = False) -> Path:
    torch = pytest.importorskip("torch", reason=MISSING_TORCH)
    content = {name: torch.from_numpy(array) for name, array in tensors.items()}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def images(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((2, height, width, 3)).astype(np.float32)


def assert_close(found: Any, expected: np.ndarray) -> None:
    """Within 1e-4 of the largest, and most of them not zero."""
    assert found.shape == expected.shape
    assert np.mean(expected != 0) > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def initial(network: Any) -> Any:
    return jax.eval_shape(network.init, jax.random.key(0), np.zeros((1, 32, 32, 3), np.float32))


def test_features_of_resnet18_equal_pytorch_s(resnet18: Tensors, command: Callable[..., Done], tmp_path: Path) -> None:
    output = tmp_path / "new" / "resnet.npz"
    done = command(saved_by_torch(resnet18, tmp_path / "resnet18.pth"), "--output", output)
    usage = f"--config.global_network=resnet18 --config.global_weights={output}"
    assert done == (0, f"{output}: ResNet-18, 11,176,512 parameters; use them by {usage}\n", "")
    variables = load_variables(output, initial(ResNet18()))
    image = images(97, 64)
    expected = Reference(resnet18).resnet18(image)
    for apply in (ResNet18().apply, jax.jit(ResNet18().apply)):
        assert_close(apply(variables, image), expected)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_features_of_vgg16_equal_pytorch_s(batch_norm: bool) -> None:
    tensors = drawn(vgg16_shapes(batch_norm))
    network, variables = from_torchvision(tensors, "vgg16.pth")
    assert network.title == ("VGG-16 with BatchNorm" if batch_norm else "VGG-16")
    assert network.module == VGG16(batch_norm=batch_norm)
    shapes = jax.tree.map(lambda leaf: leaf.shape, variables)
    assert shapes == jax.tree.map(lambda leaf: leaf.shape, initial(network.module))
    image = images(32, 64)
    reference = Reference(tensors)
    expected = reference.vgg16(image)
    eager, jitted = network.module.apply, jax.jit(network.module.apply)
    for apply in (eager, jitted) if batch_norm else (jitted,):
        features: Any = apply(variables, image)
        for found, pool in zip(features[:3], expected[2:], strict=True):
            assert_close(found, pool)
        padded = np.pad(expected[4], ((0, 0), (3, 3), (3, 3), (0, 0)))
        for row, column in ((0, 0), (0, 1)):
            around = np.ascontiguousarray(padded[:, row : row + 7, column : column + 7])
            assert_close(features.fc7[:, row, column], reference.classifier(around))


def test_every_format_gives_the_same_variables_bit_for_bit(resnet18: Tensors, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file(resnet18, tmp_path / "a.safetensors")
    files = [saved(resnet18, tmp_path / "b.npz"), tmp_path / "a.safetensors"]
    files.append(saved_by_torch(resnet18, tmp_path / "zip.pth"))
    files.append(saved_by_torch(resnet18, tmp_path / "legacy.pth", legacy=True))
    outputs = []
    for file in files:
        network, parameters = convert(str(file), tmp_path / "out.npz")
        assert (network.title, parameters) == ("ResNet-18", 11_176_512)
        variables = flatten_dict(load_variables(tmp_path / "out.npz", initial(ResNet18())))
        outputs.append({path: (array.dtype, array.tobytes()) for path, array in variables.items()})
    assert outputs[1:] == outputs[:1] * 3
    assert {dtype for dtype, _ in outputs[0].values()} == {np.dtype(np.float32)}


def test_a_run_trains_with_the_converted_weights_and_leaves_them_as_they_are(
    resnet18: Tensors, entry: Callable, tiny: Callable, tmp_path: Path
) -> None:
    convert(str(saved(resnet18, tmp_path / "resnet.npz")), tmp_path / "flax.npz")
    fields = ("dataset", "data_dir", "hidden_size", "num_layers", "batch_size", "patches_per_image")
    flags = [f"--config.{name}={tiny()[name]}" for name in fields]
    flags += ["--config.num_steps=2", "--config.global_network=resnet18"]
    done = entry("train", f"--workdir={tmp_path / 'run'}", *flags, f"--config.global_weights={tmp_path / 'flax.npz'}")
    assert done.code == 0, done.err
    assert "random weights" not in done.out
    trained = splice_jax.load(tmp_path / "run").variables
    expected = load_variables(tmp_path / "flax.npz", initial(ResNet18()))
    for collection, variables in expected.items():
        jax.tree.map(np.testing.assert_array_equal, trained[collection]["resnet"], variables)


def refusal(tensors: Mapping[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        from_torchvision(tensors, "a.pth")
    return str(caught.value)


def test_what_does_not_fit_is_listed_by_name(resnet18: Tensors) -> None:
    start = "a.pth: is not torchvision's ResNet-18, the nearest network; "
    changed = resnet18 | {"conv1.bias": np.zeros(64), "layer1.0.conv1.weight": np.zeros((64, 64, 1, 1), np.float32)}
    del changed["layer4.1.bn2.running_var"], changed["bn1.bias"]
    assert refusal(changed) == (
        f"{start}missing: layer4.1.bn2.running_var, bn1.bias; left over: conv1.bias; "
        "misshapen: layer1.0.conv1.weight (64, 64, 1, 1) instead of (64, 64, 3, 3)"
    )
    assert refusal(resnet18 | {"bn1.bias": np.zeros(64, int)}) == f"{start}not floating-point: bn1.bias"
    deeper = {f"layer3.{block}.conv1.weight": np.zeros(1) for block in range(2, 9)}
    listed = ", ".join(f"layer3.{block}.conv1.weight" for block in range(2, 6))
    assert refusal(resnet18 | deeper) == f"{start}left over: {listed} and 3 more"
    assert refusal({"conv1.weight": resnet18["conv1.weight"]}).count("weight") <= 4


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(resnet18: Tensors, value: float) -> None:
    broken = resnet18["layer2.0.bn1.running_mean"].copy()
    broken[3] = value
    message = refusal(resnet18 | {"layer2.0.bn1.running_mean": broken})
    assert message == "a.pth: is damaged; NaN or infinite: layer2.0.bn1.running_mean"
    assert "infinite: bn1.bias" in refusal(resnet18 | {"bn1.bias": np.full(64, 1e300)})
    unused = resnet18 | {"fc.weight": np.full((7, 512), value)}  # the classes' layer of any number of classes
    assert from_torchvision(unused, "a.pth")[0].title == "ResNet-18"


def test_half_precision_without_classifier_and_counters_is_converted(resnet18: Tensors) -> None:
    half = {
        name: array.astype(np.float16)
        for name, array in resnet18.items()
        if not name.startswith("fc.") and "num_batches" not in name
    }
    variables = from_torchvision(half, "a.pth")[1]
    kernel = variables["params"]["layer3_0"]["downsample_conv"]["kernel"]
    expected = resnet18["layer3.0.downsample.0.weight"].astype(np.float16).astype(np.float32)
    assert kernel.dtype == np.float32
    np.testing.assert_array_equal(kernel[0, 0, 5, 9], expected[9, 5, 0, 0])


def test_other_content_is_refused(resnet18: Tensors) -> None:
    networks = "ResNet-18 or VGG-16 or VGG-16 with BatchNorm"
    assert refusal({}) == f"a.pth: is empty; give torchvision's {networks}"
    assert refusal({"x\x1b\n": np.zeros(1)}) == f"a.pth: holds x??; give torchvision's {networks}"
    assert refusal({"params/conv1/kernel": np.zeros(1)}).startswith("a.pth: holds Flax variables already; ")
    vgg19 = {f"features.{index}.weight": np.zeros(1) for index in (0, 2, 5, 7, 10, 12, 14, 16, 19)}
    assert "torchvision's VGG-16, the nearest" in refusal(vgg19)


def test_mistakes_end_in_one_line_and_leave_nothing(
    resnet18: Tensors, command: Callable[..., Done], tmp_path: Path
) -> None:
    output = tmp_path / "out" / "flax.npz"
    source = saved(dict(list(resnet18.items())[:-30]), tmp_path / "part.npz")
    mislabelled = saved({"a": np.zeros(1)}, tmp_path / "resnet18-f37072fd.npz")
    for file in (source, mislabelled, tmp_path / "absent.pth", "http://127.0.0.1/a.pth", "https://127.0.0.1:1/a.pth"):
        done = command(file, "--output", output)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith(f"error: {file}: ") and done.err.count("\n") == 1
        assert not output.parent.exists() or not list(output.parent.iterdir())
    done = command(source, "--output", source)
    assert (done.code, done.err) == (2, f"error: --output={source}: is the file to convert; choose another\n")
    done = command(saved(resnet18, tmp_path / "whole.npz"), "--output", tmp_path)
    assert done.code == 2 and done.err.count("\n") == 1


def test_from_an_address(resnet18: Tensors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved(resnet18, tmp_path / "resnet.npz").read_bytes()

    def download(url: str, folder: Path) -> Path:
        path = folder / url.rpartition("/")[2]
        path.write_bytes(content)
        return path

    monkeypatch.setattr(torchvision, "download", download)
    output = tmp_path / "new" / "flax.npz"
    digest = hashlib.sha256(content).hexdigest()[:8]
    assert convert(f"https://host/resnet18-{digest}.npz", output).network.title == "ResNet-18"
    assert [path.name for path in output.parent.iterdir()] == ["flax.npz"]
    url = "https://host/resnet18-00000000.npz"
    with pytest.raises(UserError, match=f"^{url}: its SHA-256 begins with {digest}, not with 00000000 "):
        convert(url, tmp_path / "other" / "flax.npz")
    assert not list((tmp_path / "other").iterdir())
