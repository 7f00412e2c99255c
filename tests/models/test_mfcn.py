from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from splice_jax.models.mfcn import MFCN, bilinear, bilinear_kernel
from splice_jax.models.vgg import VGG16

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), np.uint8)


def shapes(network: nn.Module) -> Any:
    return jax.eval_shape(network.init, jax.random.key(0), IMAGES)


def size(tree: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_parameters_are_those_of_vgg_16_and_two_decoders() -> None:
    parameters = shapes(MFCN())["params"]
    trunk = size(jax.eval_shape(VGG16().init, jax.random.key(0), IMAGES.astype(np.float32))["params"])
    scores = (4096 + 1) * 2 + (512 + 1) * 2 + (256 + 1) * 2
    upsampling = 2 * 4 * 4 * 2 * 2 + 16 * 16 * 2 * 2
    assert size(parameters) == trunk + 2 * (scores + upsampling) == 134_290_764
    assert size(shapes(MFCN(edge=False))["params"]) == 134_279_878
    assert set(parameters) == {"trunk", "surface", "edge_decoder"}


def test_the_trunk_is_what_torchvision_s_weights_are_converted_for() -> None:
    network, vgg = shapes(MFCN()), jax.eval_shape(VGG16().init, jax.random.key(0), IMAGES.astype(np.float32))
    assert {name: network[name]["trunk"] for name in network} == vgg


@pytest.mark.parametrize("edge", [True, False])
def test_maps_have_the_size_of_the_image(edge: bool) -> None:
    network = MFCN(4, edge=edge)
    found = jax.eval_shape(network.apply, shapes(network), IMAGES)
    assert found.surface.shape == (2, 64, 96, 2)
    assert found.edge.shape == (2, 64, 96, 2) if edge else found.edge is None


@pytest.mark.parametrize(("factor", "row"), [(2, [0.25, 0.75, 0.75, 0.25]), (4, [1, 3, 5, 7, 7, 5, 3, 1])])
def test_the_bilinear_kernel_by_hand(factor: int, row: list[float]) -> None:
    tent = np.array(row) / (1 if factor == 2 else 8)
    np.testing.assert_allclose(bilinear_kernel(factor), np.outer(tent, tent))


@pytest.mark.parametrize("factor", [2, 8])
def test_upsampling_starts_as_linear_interpolation_that_mixes_no_channels(factor: int) -> None:
    layer = nn.ConvTranspose(2, (2 * factor,) * 2, (factor,) * 2, use_bias=False, kernel_init=bilinear)
    y, x = np.mgrid[:6, :7].astype(np.float32)
    found, _ = layer.init_with_output(jax.random.key(0), jnp.asarray(np.stack([y, 10 - 3 * x], axis=-1))[None])
    rows, columns = ((np.arange(factor * side) + 0.5) / factor - 0.5 for side in (6, 7))
    inner = slice(factor, -factor)
    expected = np.broadcast_arrays(rows[:, None], (10 - 3 * columns)[None])
    np.testing.assert_allclose(found[0, inner, inner], np.stack(expected, -1)[inner, inner], rtol=1e-5, atol=1e-5)


def test_pixels_are_normalized_as_the_weights_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def remember(self: VGG16, image: Any, **_: Any) -> Any:
        seen.append(np.asarray(image[0, 0, 0]))
        raise InterruptedError

    monkeypatch.setattr(VGG16, "__call__", remember)
    grey = np.full((1, 32, 32, 3), 124, np.uint8)
    for normalization in ("imagenet", "vgg_mean"):
        with pytest.raises(InterruptedError):
            MFCN(4, normalization=normalization).init(jax.random.key(0), grey)
    np.testing.assert_allclose(
        seen[0], (124 / 255 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225], atol=1e-5
    )
    np.testing.assert_allclose(seen[1], [0.32, 7.221, 20.061], rtol=1e-4)


def test_it_starts_undecided_and_its_interpolation_is_trained() -> None:
    network = MFCN(4)
    names = ["/".join(path) for path in flatten_dict(shapes(network)["params"]["surface"])]
    assert sum(name.startswith("up_") for name in names) == 3
    variables = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), shapes(network))
    for decoder in ("surface", "edge_decoder"):
        for name in ("fc7", "pool4", "pool3"):
            layer = variables["params"][decoder][f"score_{name}"]
            layer.update(jax.tree.map(np.zeros_like, layer))
    found: Any = network.apply(variables, IMAGES[:, :32, :32])
    np.testing.assert_allclose(found.surface, np.log(0.5), rtol=1e-6)
