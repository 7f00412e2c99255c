import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from splice_jax.models.resnet import ResNet18
from splice_jax.models.semi_global import SemiGlobalNetwork, initial_variables

PATCHES = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
THUMBNAILS = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), np.uint8)
FEATURES = np.random.default_rng(2).standard_normal((2, 512)).astype(np.float32)  # of a ResNet, for two images
OWNER = np.array([0, 1, 1, 0])

# What does not depend on the LSTM is tested without one, which compiles in half the time.
LAYERS = {"none": 0, "cnn": 1, "resnet18": 1}
SMALL = {kind: SemiGlobalNetwork(64, layers, global_network=kind) for kind, layers in LAYERS.items()}


def shapes(network: SemiGlobalNetwork) -> dict:
    return jax.eval_shape(functools.partial(initial_variables, network), jax.random.key(0))


def size(tree: dict) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@functools.cache
def drawn_variables(kind: str) -> dict:
    """Generic values that keep the signal's size, for no compilation's sake."""
    random = np.random.default_rng(3)

    def leaf(path: tuple, shape: jax.ShapeDtypeStruct) -> np.ndarray:
        name = path[-1].key
        if name in ("scale", "var"):
            return random.uniform(0.5, 1.5, shape.shape).astype(np.float32)
        spread = np.sqrt(2 / np.prod(shape.shape[:-1])) if len(shape.shape) > 1 else 0.1
        return (spread * random.standard_normal(shape.shape)).astype(np.float32)

    return jax.tree_util.tree_map_with_path(leaf, shapes(SMALL[kind]))


@functools.cache
def compiled(kind: str) -> Callable:
    return functools.partial(jax.jit(SMALL[kind].apply), drawn_variables(kind))


@functools.partial(jax.jit, static_argnames="train")
def cnn_feature(thumbnails: np.ndarray, *, train: bool = False) -> tuple[jax.Array, dict]:
    feature = nn.apply(SemiGlobalNetwork.global_feature, SMALL["cnn"], mutable=["batch_stats"])
    return feature(drawn_variables("cnn"), thumbnails, train=train)


def log_odds(log_probability: jax.Array) -> np.ndarray:
    return np.asarray(log_probability[..., 1] - log_probability[..., 0])


@pytest.mark.parametrize(("kind", "count"), [("none", 1_387_014), ("cnn", 2_225_942), ("resnet18", 12_695_366)])
def test_parameter_counts_of_the_papers_size(kind: str, count: int) -> None:
    params = shapes(SemiGlobalNetwork(global_network=kind))["params"]
    assert size(params) == count
    assert size(params.get("resnet", {})) == (11_176_512 if kind == "resnet18" else 0)


def test_initial_variables_are_drawn_from_the_key() -> None:
    first, again, other = (initial_variables(SMALL["none"], jax.random.key(seed)) for seed in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    label_head = first["params"]["label_head"]["kernel"], other["params"]["label_head"]["kernel"]
    assert not np.array_equal(*label_head)
    assert np.std(label_head[0]) == pytest.approx((2 / 64) ** 0.5, rel=0.2)


@pytest.mark.parametrize("kind", ["none", "cnn"])
def test_probabilities_of_the_two_classes_sum_to_one(kind: str) -> None:
    outputs = compiled(kind)(PATCHES, THUMBNAILS, OWNER)
    assert outputs.label.shape == (4, 2)
    assert outputs.mask.shape == (4, 64, 64, 2)
    assert np.ptp(outputs.mask[..., 1]) > 0.1
    for log_probability in (outputs.label, outputs.mask):
        np.testing.assert_allclose(np.exp(log_probability).sum(-1), 1, atol=1e-5)


def test_patches_of_a_batch_do_not_influence_each_other() -> None:
    changed = PATCHES.copy()
    changed[1:] = 255 - changed[1:]
    before, after = (compiled("cnn")(patches, THUMBNAILS, OWNER) for patches in (PATCHES, changed))
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old[0], new[0])
        assert not np.array_equal(old[1:], new[1:])


def test_the_label_sees_the_last_block() -> None:
    changed = PATCHES.copy()
    changed[:, 63, 63] ^= 255
    before, after = (compiled("none")(patches, THUMBNAILS, OWNER).label for patches in (PATCHES, changed))
    assert np.all(before != after)


def test_another_thumbnail_changes_the_labels_of_its_patches_only_and_no_mask() -> None:
    changed = THUMBNAILS.copy()
    changed[1] = 255 - changed[1]
    before, after = (compiled("cnn")(PATCHES, thumbnails, OWNER) for thumbnails in (THUMBNAILS, changed))
    assert np.any(before.label != after.label, axis=1).tolist() == [False, True, True, False]
    np.testing.assert_array_equal(before.mask, after.mask)

    # The label is linear in the global feature: its last 256 weights.
    weights = drawn_variables("cnn")["params"]["label_head"]["kernel"][-256:]
    moved = cnn_feature(changed)[0] - cnn_feature(THUMBNAILS)[0]
    expected = (moved @ (weights[:, 1] - weights[:, 0]))[OWNER]
    np.testing.assert_allclose(log_odds(after.label) - log_odds(before.label), expected, atol=1e-4)


def test_without_a_global_network_the_thumbnails_count_for_nothing() -> None:
    before, after = (compiled("none")(PATCHES, thumbnails, OWNER) for thumbnails in (THUMBNAILS, 255 - THUMBNAILS))
    jax.tree.map(np.testing.assert_array_equal, before, after)
    assert set(drawn_variables("none")["params"]) == {"local_network", "label_head", "mask_head"}


def test_compiled_equals_eager() -> None:
    arguments = [jnp.asarray(array) for array in (PATCHES, THUMBNAILS, OWNER)]
    eager = SMALL["none"].apply(drawn_variables("none"), *arguments)
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-4), eager, compiled("none")(*arguments))


def test_global_feature_per_image_equals_the_one_per_patch() -> None:
    np.testing.assert_allclose(cnn_feature(THUMBNAILS)[0][OWNER], cnn_feature(THUMBNAILS[OWNER])[0], atol=1e-5)


def imagenet_normalized(thumbnails: np.ndarray) -> np.ndarray:
    return (thumbnails / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]


def cnn_in_numpy(variables: dict, images: np.ndarray, train: bool) -> tuple[np.ndarray, dict]:
    """The flattened features, and the running statistics afterwards."""
    params, statistics = variables["params"], {}
    for layer in range(1, 6):
        padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
        windows = sliding_window_view(padded, (3, 3), (1, 2))[:, ::2, ::2]
        conv = params[f"conv{layer}"]
        images = np.einsum("nhwcij,ijco->nhwo", windows, conv["kernel"], optimize=True) + conv["bias"]
        if layer < 5:
            images = np.maximum(images, 0)
            affine, running = params[f"bn{layer}"], variables["batch_stats"][f"bn{layer}"]
            batch = {"mean": images.mean((0, 1, 2)), "var": images.var((0, 1, 2))}
            used, share = (batch, 0.1) if train else (running, 0)
            batch = batch | {"var": images.var((0, 1, 2), ddof=1)}
            images = (images - used["mean"]) / np.sqrt(used["var"] + 1e-5) * affine["scale"] + affine["bias"]
            statistics[f"bn{layer}"] = {
                moment: (1 - share) * running[moment] + share * batch[moment] for moment in batch
            }
    return images.reshape(len(images), -1), statistics


@pytest.mark.parametrize("train", [False, True])
def test_global_feature_of_the_cnn_equals_numpy(train: bool) -> None:
    variables = drawn_variables("cnn")
    cnn = {collection: variables[collection]["global_cnn"] for collection in variables}
    dense = variables["params"]["global_dense"]
    flat, statistics = cnn_in_numpy(cnn, imagenet_normalized(THUMBNAILS), train)
    feature, updates = cnn_feature(THUMBNAILS, train=train)
    np.testing.assert_allclose(feature, flat @ dense["kernel"] + dense["bias"], rtol=0, atol=1e-4)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(close, updates["batch_stats"]["global_cnn"], statistics)


def test_the_resnet_sees_normalised_thumbnails() -> None:
    network, variables = SMALL["resnet18"], drawn_variables("resnet18")
    seen = []

    def record(following: Callable, arguments: tuple, keywords: dict, context: nn.module.InterceptorContext) -> Any:
        if not isinstance(context.module, ResNet18):
            return following(*arguments, **keywords)
        seen.append(arguments[0])
        return jnp.asarray(FEATURES)

    with nn.intercept_methods(record):
        found = network.apply(variables, jnp.asarray(THUMBNAILS), method="backbone")
    np.testing.assert_array_equal(found, FEATURES)
    np.testing.assert_allclose(seen[0], imagenet_normalized(THUMBNAILS), atol=1e-5)


def test_the_feature_of_a_resnet_is_dense_and_training_moves_no_statistics() -> None:
    network, variables = SMALL["resnet18"], drawn_variables("resnet18")
    apply = functools.partial(network.apply, train=True, mutable=["batch_stats"], method="global_feature")
    feature, updates = apply(variables, jnp.asarray(FEATURES))
    dense = variables["params"]["global_dense"]
    np.testing.assert_allclose(feature, FEATURES @ dense["kernel"] + dense["bias"], atol=1e-4)
    jax.tree.map(np.testing.assert_array_equal, updates["batch_stats"], variables["batch_stats"])


def test_the_baseline_s_cnn_ends_in_a_relu_and_sees_thumbnails_from_zero_to_one() -> None:
    variables = drawn_variables("cnn")
    cnn = {collection: variables[collection]["global_cnn"] for collection in variables}
    dense = variables["params"]["global_dense"]
    network = SMALL["cnn"].clone(cnn_output="relu", global_normalization="unit")
    feature = jax.jit(functools.partial(network.apply, method="global_feature"))(variables, THUMBNAILS)
    flat, _ = cnn_in_numpy(cnn, THUMBNAILS / 255, False)
    assert 0.2 < (flat < 0).mean() < 0.8
    np.testing.assert_allclose(feature, np.maximum(flat, 0) @ dense["kernel"] + dense["bias"], rtol=0, atol=1e-4)


def test_a_resnet_in_training_mode_drifts_and_gets_no_gradient() -> None:
    network, variables = SMALL["resnet18"].clone(resnet_batch_norm="training"), drawn_variables("resnet18")
    assert SMALL["resnet18"].has_constant_features and not network.has_constant_features
    assert not SMALL["cnn"].has_constant_features
    images = THUMBNAILS[:, :64, :64]
    np.testing.assert_array_equal(network.apply(variables, images, method="backbone"), images)

    def feature(variables: dict, train: bool) -> Any:
        apply = functools.partial(network.apply, train=train, mutable=["batch_stats"], method="global_feature")
        return apply(variables, jnp.asarray(images))

    found, kept = jax.jit(functools.partial(feature, train=False))(variables)
    frozen = SMALL["resnet18"].apply(variables, images, method="backbone")
    dense = variables["params"]["global_dense"]
    np.testing.assert_allclose(found, frozen @ dense["kernel"] + dense["bias"], rtol=0, atol=2e-3)
    jax.tree.map(np.testing.assert_array_equal, kept["batch_stats"], variables["batch_stats"])

    def total(params: dict) -> tuple[jax.Array, dict]:
        found, updates = feature(variables | {"params": params}, True)
        return found.sum(), updates

    gradients, updates = jax.jit(jax.grad(total, has_aux=True))(variables["params"])
    moved = jax.tree.map(np.array_equal, updates["batch_stats"], variables["batch_stats"])
    assert not any(jax.tree.leaves(moved))
    assert not any(leaf.any() for leaf in jax.tree.leaves(gradients["resnet"]))
    assert gradients["global_dense"]["kernel"].any()
