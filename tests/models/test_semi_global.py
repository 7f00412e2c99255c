import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from splice_jax.models.resnet import ResNet18
from splice_jax.models.semi_global import GLOBAL_NETWORKS, GlobalCNN, SemiGlobalNetwork, initial_variables

PATCHES = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
THUMBNAILS = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), np.uint8)
FEATURES = np.random.default_rng(2).standard_normal((2, 512)).astype(np.float32)  # of a ResNet, for two images
OWNER = np.array([0, 1, 1, 0])

SMALL = {kind: SemiGlobalNetwork(hidden_size=64, num_layers=1, global_network=kind) for kind in GLOBAL_NETWORKS}


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
def compiled(kind: str):
    return functools.partial(jax.jit(SMALL[kind].apply), drawn_variables(kind))


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


@pytest.mark.parametrize(("kind", "backbone"), [("none", None), ("cnn", THUMBNAILS), ("resnet18", FEATURES)])
def test_probabilities_of_the_two_classes_sum_to_one(kind: str, backbone: np.ndarray | None) -> None:
    outputs = compiled(kind)(PATCHES, backbone, OWNER)
    assert outputs.label.shape == (4, 2)
    assert outputs.mask.shape == (4, 64, 64, 2)
    assert np.ptp(outputs.mask[..., 1]) > 0.1
    for log_probability in (outputs.label, outputs.mask):
        np.testing.assert_allclose(np.exp(log_probability).sum(-1), 1, atol=1e-5)


def test_patches_of_a_batch_do_not_influence_each_other() -> None:
    apply = compiled("resnet18")
    changed = PATCHES.copy()
    changed[1:] = 255 - changed[1:]
    before, after = apply(PATCHES, FEATURES, OWNER), apply(changed, FEATURES, OWNER)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old[0], new[0])
        assert not np.array_equal(old[1:], new[1:])


def test_another_thumbnail_changes_the_labels_of_its_patches_only_and_no_mask() -> None:
    apply = compiled("cnn")
    changed = THUMBNAILS.copy()
    changed[1] = 255 - changed[1]
    before, after = apply(PATCHES, THUMBNAILS, OWNER), apply(PATCHES, changed, OWNER)
    assert np.any(before.label != after.label, axis=1).tolist() == [False, True, True, False]
    np.testing.assert_array_equal(before.mask, after.mask)


def test_without_a_global_network_the_backbone_counts_for_nothing() -> None:
    without = compiled("none")(PATCHES, None, OWNER)
    with_thumbnails = compiled("none")(PATCHES, THUMBNAILS, OWNER)
    jax.tree.map(np.testing.assert_array_equal, without, with_thumbnails)
    assert "global_dense" not in drawn_variables("none")["params"]


def test_global_feature_per_image_equals_the_one_per_patch() -> None:
    feature = functools.partial(compiled("cnn"), method="global_feature")
    np.testing.assert_allclose(feature(THUMBNAILS)[OWNER], feature(THUMBNAILS[OWNER]), atol=1e-5)


def test_label_is_a_linear_function_of_the_last_step_and_the_global_feature() -> None:
    variables = drawn_variables("resnet18")["params"]
    feature = FEATURES @ variables["global_dense"]["kernel"] + variables["global_dense"]["bias"]
    local, label_head = SMALL["resnet18"].bind({"params": variables}).local_network, variables["label_head"]
    last = jax.jit(lambda patches: local(patches).sequence[-1])(PATCHES)
    logits = np.concatenate([last, feature[OWNER]], 1) @ label_head["kernel"] + label_head["bias"]
    expected = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    np.testing.assert_allclose(compiled("resnet18")(PATCHES, FEATURES, OWNER).label, expected, atol=1e-4)


def test_compiled_equals_eager() -> None:
    variables = drawn_variables("resnet18")
    eager = SMALL["resnet18"].apply(variables, jnp.asarray(PATCHES), jnp.asarray(FEATURES), jnp.asarray(OWNER))
    close = functools.partial(np.testing.assert_allclose, atol=1e-4)
    jax.tree.map(close, eager, compiled("resnet18")(PATCHES, FEATURES, OWNER))


def cnn_in_numpy(variables: dict, images: np.ndarray, train: bool) -> tuple[np.ndarray, dict]:
    """The flattened features, and the running statistics afterwards."""
    params, statistics = variables["params"], {}
    for layer in range(1, 6):
        padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
        windows = sliding_window_view(padded, (3, 3), (1, 2))[:, ::2, ::2]
        conv = params[f"conv{layer}"]
        images = np.einsum("nhwcij,ijco->nhwo", windows, conv["kernel"], optimize=True) + conv["bias"]
        if layer < 5:
            images, affine, running = (
                np.maximum(images, 0),
                params[f"bn{layer}"],
                variables["batch_stats"][f"bn{layer}"],
            )
            batch = {"mean": images.mean((0, 1, 2)), "var": images.var((0, 1, 2))}
            used = batch if train else running
            images = (images - used["mean"]) / np.sqrt(used["var"] + 1e-5) * affine["scale"] + affine["bias"]
            share = 0.1 if train else 0
            statistics[f"bn{layer}"] = {name: (1 - share) * running[name] + share * batch[name] for name in batch}
    return images.reshape(len(images), -1), statistics


@pytest.mark.parametrize("train", [False, True])
def test_global_cnn_equals_numpy(train: bool) -> None:
    variables = {name: drawn_variables("cnn")[name]["global_cnn"] for name in ("params", "batch_stats")}
    images = np.random.default_rng(4).standard_normal((2, 64, 50, 3)).astype(np.float32)
    apply = jax.jit(functools.partial(GlobalCNN().apply, train=train, mutable=["batch_stats"]))
    features, updates = apply(variables, images)
    expected, statistics = cnn_in_numpy(variables, images, train)
    np.testing.assert_allclose(features, expected, atol=1e-3)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), updates["batch_stats"], statistics
    )


def test_only_the_cnns_statistics_change_in_training() -> None:
    for kind, backbone, changes in (("resnet18", FEATURES, False), ("cnn", THUMBNAILS, True)):
        apply = functools.partial(SMALL[kind].apply, train=True, mutable=["batch_stats"], method="global_feature")
        before = drawn_variables(kind)["batch_stats"]
        after = jax.jit(apply)(drawn_variables(kind), backbone)[1].get("batch_stats", before)
        same = jax.tree.leaves(jax.tree.map(np.array_equal, before, after))
        assert not any(same) if changes else all(same)


def test_the_backbone_of_a_resnet_is_a_function_of_the_normalised_thumbnail() -> None:
    network, variables = SMALL["resnet18"], drawn_variables("resnet18")
    small = THUMBNAILS[:, :32, :32]  # a ResNet takes any size, and small ones are fast
    found = jax.jit(functools.partial(network.apply, method="backbone"))(variables, small)
    pixels = (small / np.float32(255) - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    module = {name: variables[name]["resnet"] for name in ("params", "batch_stats")}
    np.testing.assert_allclose(found, jax.jit(ResNet18().apply)(module, pixels), rtol=1e-3, atol=1e-3)
