import functools

import jax
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from splice_jax.models.resnet import ResNet18

SHAPES = jax.eval_shape(ResNet18().init, jax.random.key(0), np.zeros((1, 32, 32, 3), np.float32))


def drawn_variables() -> dict:
    """Generic weights and statistics that keep the signal's size."""
    random = np.random.default_rng(0)

    def leaf(path: tuple, shape: jax.ShapeDtypeStruct) -> np.ndarray:
        name = path[-1].key
        if name in ("scale", "var"):
            return random.uniform(0.5, 1.5, shape.shape).astype(np.float32)
        spread = np.sqrt(2 / np.prod(shape.shape[:-1])) if name == "kernel" else 0.3
        return (spread * random.standard_normal(shape.shape)).astype(np.float32)

    return jax.tree_util.tree_map_with_path(leaf, SHAPES)


class Reference:
    """ResNet-18 in NumPy, after the paper's table 1 and PyTorch's paddings."""

    def __init__(self, variables: dict) -> None:
        self.params, self.statistics = variables["params"], variables["batch_stats"]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        image = np.maximum(normalized(self, "bn1", convolved(image, self.params["conv1"]["kernel"], 2)), 0)
        image = windows(image, 3, 2, -np.inf).max((-2, -1))
        for stage, stride in enumerate((1, 2, 2, 2), 1):
            image = self.block(f"layer{stage}_0", image, stride)
            image = self.block(f"layer{stage}_1", image, 1)
        return image.mean((0, 1))

    def block(self, name: str, image: np.ndarray, stride: int) -> np.ndarray:
        inner = Reference({"params": self.params[name], "batch_stats": self.statistics[name]})
        residual = np.maximum(normalized(inner, "bn1", convolved(image, inner.params["conv1"]["kernel"], stride)), 0)
        residual = normalized(inner, "bn2", convolved(residual, inner.params["conv2"]["kernel"], 1))
        if stride == 2:
            image = normalized(
                inner, "downsample_bn", image[::2, ::2] @ inner.params["downsample_conv"]["kernel"][0, 0]
            )
        return np.maximum(image + residual, 0)


def windows(image: np.ndarray, size: int, stride: int, fill: float) -> np.ndarray:
    border = (size // 2, size // 2)
    padded = np.pad(image, (border, border, (0, 0)), constant_values=fill)
    return sliding_window_view(padded, (size, size), (0, 1))[::stride, ::stride]


def convolved(image: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    return np.einsum("hwcij,ijco->hwo", windows(image, len(kernel), stride, 0), kernel, optimize=True)


def normalized(module: Reference, name: str, image: np.ndarray) -> np.ndarray:
    statistics, affine = module.statistics[name], module.params[name]
    return (image - statistics["mean"]) / np.sqrt(statistics["var"] + 1e-5) * affine["scale"] + affine["bias"]


def test_resnet_with_running_statistics_equals_numpy_and_changes_none() -> None:
    variables = drawn_variables()
    images = np.random.default_rng(1).standard_normal((2, 50, 33, 3)).astype(np.float32)
    features, updates = jax.jit(functools.partial(ResNet18().apply, mutable=["batch_stats"]))(variables, images)
    expected = Reference(variables)(images[1])
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(features[1], expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    jax.tree.map(np.testing.assert_array_equal, updates["batch_stats"], variables["batch_stats"])


def test_sizes_of_the_stages_for_a_thumbnail() -> None:
    stages = functools.partial(ResNet18().apply, capture_intermediates=True, mutable=["intermediates"])
    features, captured = jax.eval_shape(stages, SHAPES, np.zeros((1, 224, 224, 3), np.float32))
    assert features.shape == (1, 512)
    outputs = captured["intermediates"]
    assert outputs["conv1"]["__call__"][0].shape == (1, 112, 112, 64)
    for stage, (side, width) in enumerate(((56, 64), (28, 128), (14, 256), (7, 512)), 1):
        for block in (0, 1):
            assert outputs[f"layer{stage}_{block}"]["__call__"][0].shape == (1, side, side, width)


def test_parameter_count_without_the_classifier() -> None:
    # 11,689,512 of torchvision's resnet18, less its last layer's 512 x 1000 + 1000.
    assert sum(leaf.size for leaf in jax.tree.leaves(SHAPES["params"])) == 11_689_512 - 513_000
