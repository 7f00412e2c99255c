from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from splice_jax.data import open_split
from splice_jax.data.feeding.patch_table import PatchTable
from splice_jax.data.sets.builders import cache
from splice_jax.errors import UserError
from splice_jax.methods.trained.semi_global.method import FAMILY
from splice_jax.methods.trained.semi_global.training import backbone_features, patch_table
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
    return PatchTable(empty, empty, empty, empty.astype(np.int32), images, empty.astype(np.float32))


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
