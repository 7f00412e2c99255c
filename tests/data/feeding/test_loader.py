from collections.abc import Iterator
from itertools import islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splice_jax.data.feeding.loader import Batch, batches, columns_of, gather, patch_groups, patch_windows
from splice_jax.data.feeding.patch_table import PatchTable, unpack_masks
from splice_jax.patches import grid

COUNTS = (1, 6, 3, 4, 8, 2)
"""Patches of each image: with two patches to a group, 1 + 3 + 2 + 2 + 4 + 1 = 13 groups."""
IMAGE_OF_PATCH = np.repeat(np.arange(len(COUNTS), dtype=np.int32), COUNTS)
N = len(IMAGE_OF_PATCH)


def numbered_table() -> PatchTable:
    """Each patch holds its own number, each thumbnail its image's."""
    numbers = np.arange(N, dtype=np.uint8)
    masks = np.repeat(numbers[:, None], 512, axis=1)
    images = np.arange(len(COUNTS), dtype=np.uint8)
    return PatchTable(
        patches=np.broadcast_to(numbers[:, None, None, None], (N, 64, 64, 3)),
        masks=masks,
        labels=numbers % 2,
        image_of_patch=IMAGE_OF_PATCH,
        thumbnails=np.broadcast_to(images[:, None, None, None], (len(COUNTS), 224, 224, 3)),
        residual_levels=images.astype(np.float32),
        sizes=np.full((len(images), 2), 64, np.int32),
    )


TABLE = numbered_table()
COLUMNS = columns_of(TABLE, TABLE.thumbnails)


def stream(*, batch_size: int = 2, seed: int = 0, num_epochs: int | None = 1, **more: int) -> tuple[int, Any]:
    options: dict[str, Any] = {"num_epochs": num_epochs, "seed": seed, **more}
    groups = patch_groups(IMAGE_OF_PATCH, 2, seed)
    return batches(COLUMNS, IMAGE_OF_PATCH, groups, batch_size=batch_size, **options)


def rows(found: Iterator[Batch]) -> list[tuple[int, ...]]:
    """The patches' numbers, batch after batch."""
    return [tuple(batch["patches"][:, 0, 0, 0].tolist()) for batch in found]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_groups_hold_one_image_and_together_every_patch(size: int) -> None:
    groups = patch_groups(IMAGE_OF_PATCH, size, seed=0)
    assert len(groups) == sum(-(-count // size) for count in COUNTS)
    images = IMAGE_OF_PATCH[groups]
    np.testing.assert_array_equal(images, images[:, :1].repeat(size, axis=1))
    assert set(groups.ravel()) == set(range(N))
    # What fills the last group of an image is spread evenly.
    seen = np.bincount(groups.ravel(), minlength=N)
    for image in range(len(COUNTS)):
        assert np.ptp(seen[image == IMAGE_OF_PATCH]) <= 1


def test_the_seed_decides_which_patches_form_a_group() -> None:
    first = patch_groups(IMAGE_OF_PATCH, 2, seed=0)
    np.testing.assert_array_equal(first, patch_groups(IMAGE_OF_PATCH, 2, seed=0))
    assert (first != patch_groups(IMAGE_OF_PATCH, 2, seed=1)).any()


@pytest.mark.parametrize("border", ["inward", "crop"])
def test_windows_hold_neighbours_on_the_grid_once_at_most(border: str) -> None:
    sizes = np.array([(130, 100), (40, 70), (200, 330), (128, 128)], np.int32)
    origins = [grid(*size, border=border).reshape(-1, 2) for size in sizes.tolist()]
    image_of_patch = np.repeat(range(len(origins)), [len(each) for each in origins])
    place = np.concatenate(origins)
    offsets = set()
    for seed in range(4):
        windows = patch_windows(sizes, 2, seed, border=border)
        assert image_of_patch[windows].tolist() == [[2] * 4] * 2 + [[3] * 4]
        assert np.unique(windows).size == windows.size
        corners = place[windows] - place[windows[:, :1]]
        assert corners.tolist() == [[[0, 0], [0, 64], [64, 0], [64, 64]]] * len(windows)
        offsets.add(tuple(place[windows[0, 0]].tolist()))
    assert not (place[windows] % 64).any() and len(offsets) > 1
    assert patch_windows(sizes, 4, 0, border=border).shape == (0, 16)


def test_a_batch_gathers_what_belongs_together() -> None:
    _, found = stream(batch_size=6)
    for batch in found:
        numbers = batch["patches"][:, 0, 0, 0]
        np.testing.assert_array_equal(batch["patches"], TABLE.patches[numbers])
        np.testing.assert_array_equal(batch["masks"], unpack_masks(TABLE.masks[numbers]))
        np.testing.assert_array_equal(batch["labels"], numbers % 2)
        assert batch["image"].tolist() == [0, 0, 1, 1, 2, 2]
        np.testing.assert_array_equal(batch["backbone"][batch["image"], 0, 0, 0], IMAGE_OF_PATCH[numbers])
        types = {name: (column.dtype, column.shape) for name, column in batch.items()}
        assert types == {
            "patches": (np.uint8, (6, 64, 64, 3)),
            "masks": (np.uint8, (6, 64, 64)),
            "labels": (np.int32, (6,)),
            "image": (np.int32, (6,)),
            "backbone": (np.uint8, (3, 224, 224, 3)),
            "residual_levels": (np.float32, (3,)),
        }


def test_rows_alone_are_gathered_on_a_device_to_the_same_batches() -> None:
    on_device = jax.tree.map(jnp.asarray, COLUMNS)
    gathered = jax.jit(gather)
    _, found = stream(batch_size=6, num_epochs=2)
    _, numbers = stream(batch_size=6, num_epochs=2, rows_only=True)
    for expected, rows_and_images in zip(found, numbers, strict=True):
        assert set(rows_and_images) == {"rows", "images"}
        batch = gathered(on_device, **rows_and_images)
        assert set(batch) == set(expected)
        for name, column in batch.items():
            assert isinstance(column, jax.Array) and column.dtype == expected[name].dtype
            np.testing.assert_array_equal(column, expected[name])


def test_every_patch_is_seen_in_an_epoch_in_another_order_each_time() -> None:
    steps, found = stream(num_epochs=3)
    assert steps == 13
    seen = rows(found)
    epochs = [seen[start : start + steps] for start in range(0, len(seen), steps)]
    assert len(epochs) == 3
    for epoch in epochs:
        assert {number for batch in epoch for number in batch} == set(range(N))
    assert sorted(epochs[0]) == sorted(epochs[1]) and epochs[0] != epochs[1] != epochs[2]


def test_what_fills_no_batch_is_left_out_another_group_each_epoch() -> None:
    steps, found = stream(batch_size=8, num_epochs=8)
    assert steps == 3
    seen = rows(found)
    left_out = []
    for start in range(0, len(seen), steps):
        groups = {batch[i : i + 2] for batch in seen[start : start + steps] for i in range(0, 8, 2)}
        assert len(groups) == 12
        left_out.append({tuple(group) for group in patch_groups(IMAGE_OF_PATCH, 2, 0).tolist()} - groups)
    assert len(left_out) == 8 and len(set.union(*left_out)) > 1


def test_the_seed_decides_the_order() -> None:
    assert rows(stream()[1]) == rows(stream()[1])
    assert rows(stream()[1]) != rows(stream(seed=1)[1])


def test_without_a_number_of_epochs_the_stream_has_no_end() -> None:
    _, endless = stream(num_epochs=None)
    assert rows(islice(endless, 26)) == rows(stream(num_epochs=2)[1])


@pytest.mark.parametrize("position", [0, 5, 13, 20])
def test_a_stream_goes_on_from_its_state_in_the_middle_of_an_epoch(position: int) -> None:
    _, interrupted = stream(num_epochs=2)
    before = rows(islice(interrupted, position))
    state = interrupted.get_state()
    _, resumed = stream(num_epochs=2)
    resumed.set_state(state)
    assert before + rows(resumed) == rows(stream(num_epochs=2)[1])
    assert rows(interrupted)[:1] == rows(stream(num_epochs=2)[1])[position : position + 1]


def test_shards_one_after_another_are_the_whole_batch() -> None:
    steps, whole = stream(batch_size=8, num_epochs=2)
    shards = [stream(batch_size=8, num_epochs=2, shard=shard, shards=2) for shard in (0, 1)]
    assert [shard_steps for shard_steps, _ in shards] == [steps, steps]
    first, second = (rows(found) for _, found in shards)
    assert [one + other for one, other in zip(first, second, strict=True)] == rows(whole)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 7}, "batch_size 7 is no multiple of patches_per_image 2 times 1 processes"),
        ({"batch_size": 6, "shards": 2}, "batch_size 6 is no multiple of patches_per_image 2 times 2 processes"),
        ({"batch_size": 0}, "batch_size 0 is no multiple"),
        ({"batch_size": 28}, "batch_size 28 is larger than the data: 24 patches"),
    ],
)
def test_a_batch_size_that_cannot_be_is_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stream(**options)
