from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from splice_jax.crf import CrfParameters
from splice_jax.data import Example, open_split
from splice_jax.data.feeding.patch_table import PatchTable, build_table
from splice_jax.data.sets.builders import cache
from splice_jax.errors import UserError
from splice_jax.methods.trained import crf_layer
from splice_jax.methods.trained.semi_global import training
from splice_jax.methods.trained.semi_global.method import FAMILY
from splice_jax.methods.trained.semi_global.training import backbone_features, patch_table
from splice_jax.models.semi_global import Outputs
from splice_jax.patches import cut, join, labels
from splice_jax.weights.archive import save_variables

Configure = Callable[..., ConfigDict]


def assert_identical(found: Any, expected: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def table_of(config: ConfigDict) -> PatchTable:
    return patch_table(config, open_split(config.dataset, config.data_dir, "train"))


def test_patches_are_cut_once_for_each_grid(tiny: Configure) -> None:
    tables = cache().parent / "patch_tables"
    table = table_of(tiny())
    before = set(tables.iterdir())
    assert len(table_of(tiny()).patches) == len(table.patches) == 25
    assert set(tables.iterdir()) == before
    assert len(table_of(tiny(patch_stride=32)).patches) > 25
    assert len(set(tables.iterdir()) - before) == 1


class Summing(nn.Module):
    """A backbone whose features are sums."""

    has_constant_features: bool = True
    global_network: str = "resnet18"

    @nn.compact
    def backbone(self, images: Any) -> Any:
        return images.astype(float).sum((1, 2))


def thumbnails(count: int) -> PatchTable:
    images = np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), np.uint8)
    empty = np.empty(0, np.uint8)
    return PatchTable(
        empty, empty, empty, empty.astype(np.int32), images, empty.astype(np.float32), empty.reshape(0, 2)
    )


@pytest.mark.parametrize("count", [3, 32, 40])
def test_frozen_features_are_computed_of_every_image_once(count: int) -> None:
    table = thumbnails(count)
    network: Any = Summing()
    features = backbone_features(network, {}, table)
    np.testing.assert_array_equal(features, table.thumbnails.astype(np.float32).sum((1, 2)))
    network = Summing(has_constant_features=False, global_network="cnn")
    assert backbone_features(network, {}, table) is table.thumbnails
    network = Summing(has_constant_features=False, global_network="none")
    assert backbone_features(network, {}, table).shape == (count, 0)


def test_global_weights_take_the_place_of_the_resnet_s_only(tiny: Configure, tmp_path: Path) -> None:
    def variables(value: float) -> dict[str, Any]:
        layer = {"kernel": np.full((2, 2), value, np.float32)}
        return {"params": {"resnet": layer, "label_head": layer}, "batch_stats": {"resnet": layer}}

    frozen = {"params": variables(7.0)["params"]["resnet"], "batch_stats": variables(7.0)["batch_stats"]["resnet"]}
    save_variables(frozen, tmp_path / "resnet.npz")
    loaded = FAMILY.with_weights(variables(1.0), tiny(global_weights=str(tmp_path / "resnet.npz")))
    assert (loaded["params"]["resnet"]["kernel"] == 7).all() and (loaded["batch_stats"]["resnet"]["kernel"] == 7).all()
    assert (loaded["params"]["label_head"]["kernel"] == 1).all()
    assert_identical(FAMILY.with_weights(variables(1.0), tiny()), variables(1.0))
    with pytest.raises(UserError, match="absent.npz: cannot be read"):
        FAMILY.with_weights(variables(1.0), tiny(global_weights=str(tmp_path / "absent.npz")))
    without = {"params": {"label_head": variables(1.0)["params"]["label_head"]}}
    assert FAMILY.with_weights(without, tiny(global_weights="unread.npz")) is without


class Given:
    """In the place of the network: the log odds of every pixel are a parameter."""

    def clone(self, **_: Any) -> "Given":
        return self

    def apply(self, variables: Any, patches: Any, *_: Any, **__: Any) -> Any:
        odds = variables["params"]["odds"]
        mask = jax.nn.log_softmax(jnp.stack([jnp.zeros_like(odds), odds], -1))
        return Outputs(jnp.log(jnp.full((len(patches), 2), 0.5)), mask, jnp.ones(len(patches))), {}


def test_with_a_crf_batches_are_neighbours_and_it_is_trained_through_their_joined_map(
    tiny: Configure, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    pixels, mask = random.integers(0, 256, (2, 130, 140, 3), np.uint8), np.arange(140) < np.full((130, 1), 66)
    table = build_table([Example(image, mask, "made up", False) for image in pixels], tmp_path / "table")
    weights = {"bilateral_weight": 1e-5, "smoothness_weight": 1e-5, "iterations": 1}
    config = tiny(loss={"crf": 3.0}, crf=weights, patches_per_image=4, batch_size=8, augment=False)
    network: Any = Given()
    of_batch = training.training_from(config, network, table, np.zeros((2, 0), np.uint8))
    batch = next(of_batch.batches)
    assert FAMILY.trains_crf(config) and batch["image"].tolist() == [0] * 4 + [1] * 4
    np.testing.assert_array_equal(batch["labels"], [1, 0] * 4)
    odds = random.normal(size=(8, 64, 64)).astype(np.float32)
    params = {"odds": odds, "crf": crf_layer.initial(CrfParameters.from_config(config.crf))}

    def total(params: Any) -> Any:
        result, (_, scalars) = of_batch.loss({"params": params, "batch_stats": {}}, batch, jax.random.key(0), None)
        return result, scalars

    gradient, scalars = jax.jit(jax.grad(total, has_aux=True))(params)
    parts = {"classification": 1, "segmentation": config.loss.beta, "smooth": config.loss.smooth, "crf": 1}
    expected = sum(weight * scalars[f"loss/{name}"] for name, weight in parts.items())
    np.testing.assert_allclose(scalars["loss/total"], expected, rtol=1e-5)
    assert all(np.isfinite(leaf).all() and np.any(leaf) for leaf in jax.tree.leaves(gradient))
    # Such a weak CRF changes nothing, and what remains is the cross entropy of the squares.
    rows = np.concatenate([np.concatenate(odds[2 * row : 2 * row + 2], 1) for row in range(4)])
    means = rows.reshape(64, 4, 32, 4).mean((1, 3))
    spliced = np.broadcast_to(np.arange(32) < 16, means.shape)  # Of the next squares, half is.
    entropies = np.where(spliced, 2 * np.logaddexp(0, -means), np.logaddexp(0, means))
    np.testing.assert_allclose(scalars["loss/crf"], 3 * entropies.sum() / np.where(spliced, 2, 1).sum(), rtol=1e-3)


def test_a_window_is_flipped_as_a_whole_with_its_labels() -> None:
    random = np.random.default_rng(0)
    pixels, masks = random.integers(0, 256, (3, 128, 128, 3), np.uint8), random.integers(0, 2, (3, 128, 128), np.uint8)
    masks[:, :64, :64], masks[:, 64:, 64:] = 1, 1
    batch = {"patches": cut(pixels), "masks": cut(masks)}
    batch["labels"] = labels(batch["masks"].astype(bool))
    turned: Any = training._turned(jax.random.key(2), batch, 2, None)
    changed = 0
    for number in range(3):
        found, mask = join(turned["patches"], 2)[number], join(turned["masks"], 2)[number]
        forms = [np.rot90(each, k) for each in (np.arange(128**2).reshape(128, 128),) for k in range(4)]
        forms += [form.T for form in forms]
        chosen = [form for form in forms if (pixels[number].reshape(-1, 3)[form] == found).all()]
        assert len(chosen) == 1 and (masks[number].reshape(-1)[chosen[0]] == mask).all()
        changed += chosen[0][0, 0] != 0
    assert changed
    np.testing.assert_array_equal(turned["labels"], labels(np.asarray(turned["masks"]).astype(bool)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patches_per_image": 8}, r"config\.patches_per_image: 8 fill no square"),
        ({"patches_per_image": 4, "patch_stride": 32}, r"config\.patch_stride: 32, but a CRF is trained on patches"),
        ({"patches_per_image": 64}, r"config\.patches_per_image: no training image is 512 pixels high and wide; set"),
    ],
)
def test_what_no_crf_can_be_trained_on_is_named(tiny: Configure, changes: dict[str, int], message: str) -> None:
    config = tiny(loss={"crf": 1.0}, **changes)
    with pytest.raises(UserError, match=message):
        training._groups(config, table_of(tiny()))
