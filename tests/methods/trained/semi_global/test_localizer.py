from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from splice_jax.images import resize
from splice_jax.methods.trained.semi_global import localizer as module
from splice_jax.methods.trained.semi_global.localizer import PatchNetworkLocalizer
from splice_jax.models.semi_global import SemiGlobalNetwork, initial_variables

SIZES = {(64, 200): (1, 4), (64, 64): (1, 1), (150, 90): (3, 2)}
"""Height and width of an image: rows and columns of its patches."""


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def localizer(global_network: str, **options: Any) -> PatchNetworkLocalizer:
    network = SemiGlobalNetwork(hidden_size=64, num_layers=1, global_network=global_network)
    return PatchNetworkLocalizer("row", network, initial_variables(network, jax.random.key(0)), **options)


def compilations(network: SemiGlobalNetwork) -> list[int]:
    functions: list[Any] = [module._probabilities, module._global_feature(network)]
    return [function._cache_size() for function in functions]


def known_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that finds of each patch its first pixel's red, everywhere in it."""

    def found(_: Any, batch: np.ndarray, *of_image: Any) -> tuple[np.ndarray, np.ndarray]:
        red = batch[:, 0, 0, 0].astype(np.float32) / 255
        return red, np.broadcast_to(red[:, None, None], (len(batch), 64, 64))

    monkeypatch.setattr(PatchNetworkLocalizer, "_patches", found)


@pytest.mark.parametrize("global_network", ["cnn", "none"])
def test_maps_have_the_size_of_their_image_and_one_compilation_serves_all(global_network: str) -> None:
    row = localizer(global_network)
    row(noise(64, 64))
    compiled = compilations(row.network)
    assert compiled[1] == (global_network != "none")  # else each image would have a function of its own
    for (height, width), patches in SIZES.items():
        found = row(noise(height, width))
        assert found.probability.shape == found.mask.shape == (height, width)
        assert (found.probability.dtype, found.mask.dtype) == (np.float32, bool)
        assert found.label_probability is not None
        assert found.label_probability.shape == patches
        for values in (found.probability, found.label_probability):
            assert values.min() >= 0 and values.max() <= 1
        np.testing.assert_array_equal(found.mask, found.probability >= 0.5)
    assert compilations(row.network) == compiled


def test_probabilities_are_those_of_the_network_applied_to_patches_and_thumbnail() -> None:
    row = localizer("cnn")
    image = noise(64, 100)

    @jax.jit
    def applied(patches: np.ndarray, thumbnail: np.ndarray) -> Any:
        backbone = row.network.apply(row.variables, thumbnail, method="backbone")
        return row.network.apply(row.variables, patches, backbone, np.zeros(2, np.int32))

    outputs = applied(np.stack([image[:, :64], image[:, 36:]]), resize(image, (224, 224))[None])
    label, mask = np.exp(outputs.label)[:, 1], np.exp(outputs.mask)[..., 1]
    found = row(image)
    assert found.label_probability is not None
    np.testing.assert_allclose(found.label_probability, label[None], rtol=1e-4)
    np.testing.assert_allclose(found.probability[:, :36], mask[0, :, :36], rtol=1e-4)
    np.testing.assert_allclose(found.probability[:, 64:], mask[1, :, 28:], rtol=1e-4)
    np.testing.assert_allclose(found.probability[:, 36:64], (mask[0, :, 36:] + mask[1, :, :28]) / 2, rtol=1e-4)


def test_an_image_of_more_patches_than_a_chunk_is_the_sum_of_its_parts() -> None:
    row = localizer("none")
    parts = [noise(64, 64 * (row.chunk - 1), seed=1), noise(64, 64 * 3, seed=2)]
    whole = row(np.concatenate(parts, axis=1))
    found = [row(part) for part in parts]
    expected = np.concatenate([part.probability for part in found], axis=1)
    np.testing.assert_allclose(whole.probability, expected, rtol=1e-5)
    assert np.ptp(expected) > 0.01
    assert whole.label_probability is not None
    assert whole.label_probability.shape == (1, row.chunk + 2)


def test_only_a_global_network_sees_what_surrounds_a_patch() -> None:
    image = noise(64, 128)
    surroundings = image.copy()
    surroundings[:, 64:] //= 2
    for global_network, equal in {"none": True, "cnn": False}.items():
        row = localizer(global_network)
        labels = [row(picture).label_probability for picture in (image, surroundings)]
        assert labels[0] is not None and labels[1] is not None
        assert (labels[0][0, 0] == labels[1][0, 0]) == equal


@pytest.mark.parametrize("global_network", ["resnet18", "cnn", "none"])
def test_without_labels_the_map_is_the_same_and_the_global_branch_is_not_computed(global_network: str) -> None:
    network = SemiGlobalNetwork(hidden_size=64, num_layers=2, global_network=global_network)  # new to this process
    row = PatchNetworkLocalizer("row", network, initial_variables(network, jax.random.key(0)), orientations=2)
    image = noise(150, 90)
    row.labels = False
    without = row(image)
    assert without.label_probability is None
    compiled = compilations(network)
    assert compiled[1] == 0
    row.labels = True
    whole = row(image)
    assert whole.label_probability is not None
    assert compilations(network) == [compiled[0], int(global_network != "none")]
    np.testing.assert_array_equal(without.probability, whole.probability)
    np.testing.assert_array_equal(without.mask, whole.mask)


def test_overlapping_patches_are_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    known_maps(monkeypatch)
    image = np.zeros((64, 96, 3), np.uint8)
    image[0, [0, 32], 0] = 51, 255
    found = localizer("none", stride=32)(image)
    np.testing.assert_allclose(found.probability[5], np.repeat([0.2, 0.6, 1.0], 32), rtol=1e-6)
    assert found.label_probability is not None
    np.testing.assert_allclose(found.label_probability, np.array([[0.2, 1.0]]), rtol=1e-6)


def test_what_the_cropping_border_leaves_uncovered_is_not_spliced(monkeypatch: pytest.MonkeyPatch) -> None:
    known_maps(monkeypatch)
    found = localizer("none", border="crop")(np.full((70, 100, 3), 255, np.uint8))
    expected = np.zeros((70, 100), bool)
    expected[:64, :64] = True
    np.testing.assert_array_equal(found.mask, expected)


def test_the_mask_is_that_of_the_refined_map(monkeypatch: pytest.MonkeyPatch) -> None:
    known_maps(monkeypatch)
    image = np.full((64, 128, 3), 51, np.uint8)
    image[:, 64:] = 204

    def inverted(seen: np.ndarray, probability: np.ndarray) -> np.ndarray:
        np.testing.assert_array_equal(seen, image)
        return 1 - probability

    refine: Callable[[np.ndarray, np.ndarray], np.ndarray] = inverted
    found = localizer("none", refine=refine)(image)
    np.testing.assert_allclose(found.probability[0], np.repeat([0.8, 0.2], 64), rtol=1e-6)
    np.testing.assert_array_equal(found.mask[0], np.repeat([True, False], 64))
    assert found.label_probability is not None
    np.testing.assert_allclose(found.label_probability, np.array([[0.2, 0.8]]), rtol=1e-6)


@pytest.mark.parametrize("orientation", range(8))
def test_orientations_differ_and_are_turned_back(orientation: int) -> None:
    pixels = np.arange(2 * 3).reshape(2, 3)
    turned = module._turned(pixels, orientation)
    expected = [
        [[0, 1, 2], [3, 4, 5]],
        [[3, 4, 5], [0, 1, 2]],
        [[2, 1, 0], [5, 4, 3]],
        [[5, 4, 3], [2, 1, 0]],
        [[0, 3], [1, 4], [2, 5]],
        [[3, 0], [4, 1], [5, 2]],
        [[2, 5], [1, 4], [0, 3]],
        [[5, 2], [4, 1], [3, 0]],
    ]
    np.testing.assert_array_equal(turned, expected[orientation])
    np.testing.assert_array_equal(module._turned_back(turned, orientation), pixels)


def test_maps_of_all_orientations_are_averaged() -> None:
    image = np.random.default_rng(0).integers(0, 256, (70, 130, 3), np.uint8)
    network = SemiGlobalNetwork(64, 1, global_network="none")
    variables = initial_variables(network, jax.random.key(0))
    single = PatchNetworkLocalizer("bappy", network, variables)
    turned = (module._turned(image, number) for number in range(8))
    maps = [
        module._turned_back(single(np.ascontiguousarray(picture)).probability, number)
        for number, picture in enumerate(turned)
    ]
    found = PatchNetworkLocalizer("bappy", network, variables, orientations=8)(image)
    np.testing.assert_allclose(found.probability, np.mean(maps, axis=0), atol=1e-6)
    np.testing.assert_array_equal(found.label_probability, single(image).label_probability)
    assert not np.allclose(found.probability, maps[0], atol=1e-4)
