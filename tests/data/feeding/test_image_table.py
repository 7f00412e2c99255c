from itertools import islice
from pathlib import Path
from typing import Any

import grain
import numpy as np
import pytest

from splice_jax.data import Example
from splice_jax.data.feeding.image_table import COLUMNS, EDGE, SPLICED, Crop, ImageTable, build_table, edge_target
from splice_jax.data.feeding.streams import stream

SIZES = ((40, 70), (64, 96), (20, 33))


def example(number: int) -> Example:
    random = np.random.default_rng(number)
    mask = np.zeros(SIZES[number], bool)
    mask[5:15, 8:30] = number != 2
    return Example(random.integers(0, 256, (*SIZES[number], 3), np.uint8), mask, f"image{number}", False)


EXAMPLES = [example(number) for number in range(len(SIZES))]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> ImageTable:
    return build_table(EXAMPLES, tmp_path_factory.mktemp("tables") / "table")


def test_the_edge_of_a_rectangle_is_two_pixels_to_both_sides() -> None:
    mask = np.zeros((20, 24), bool)
    mask[6:14, 8:18] = True
    expected = np.zeros_like(mask)
    expected[4:16, 6:20] = True
    expected[8:12, 10:16] = False
    np.testing.assert_array_equal(edge_target(mask), expected)


def test_the_border_of_the_image_is_no_edge() -> None:
    mask = np.zeros((10, 12), bool)
    mask[:, :5] = True
    np.testing.assert_array_equal(edge_target(mask), np.isin(np.arange(12), (3, 4, 5, 6)) & np.ones((10, 1), bool))
    assert not edge_target(np.ones((6, 6), bool)).any() and not edge_target(np.zeros((6, 6), bool)).any()


def test_images_are_stored_one_after_another_with_their_targets(table: ImageTable) -> None:
    for number, expected in enumerate(EXAMPLES):
        image, targets = table.image(number)
        np.testing.assert_array_equal(image, expected.image)
        np.testing.assert_array_equal(targets & SPLICED != 0, expected.mask)
        np.testing.assert_array_equal(targets & EDGE != 0, edge_target(expected.mask))
    for column in COLUMNS:
        assert isinstance(getattr(table, column), np.memmap)


def test_classes_are_counted_image_by_image(table: ImageTable) -> None:
    assert table.class_counts(SPLICED).tolist() == [[2800 - 220, 220], [6144 - 220, 220], [660, 0]]
    edge = 14 * 26 - 6 * 18
    assert table.class_counts(EDGE).tolist() == [[2800 - edge, edge], [6144 - edge, edge], [660, 0]]


def test_a_crop_is_a_window_of_its_image_and_the_generator_decides_which(table: ImageTable) -> None:
    crop, image, places = Crop(table, 32), EXAMPLES[1].image, set()
    for seed in range(20):
        found = crop(1, np.random.default_rng(seed))
        again = crop(1, np.random.default_rng(seed))
        np.testing.assert_array_equal(found["images"], again["images"])
        windows = np.lib.stride_tricks.sliding_window_view(image, (32, 32, 3))[:, :, 0]
        ((y, x),) = np.argwhere((windows == found["images"]).all(axis=(2, 3, 4)))
        np.testing.assert_array_equal(found["targets"], table.image(1)[1][y : y + 32, x : x + 32])
        places.add((y, x))
    assert len(places) > 15


def test_an_image_smaller_than_a_crop_is_continued_by_its_last_row_and_column(table: ImageTable) -> None:
    found = Crop(table, 64)(2, np.random.default_rng(0))
    assert found["images"].shape == (64, 64, 3) and found["targets"].shape == (64, 64)
    np.testing.assert_array_equal(found["images"][:20, :33], EXAMPLES[2].image)
    np.testing.assert_array_equal(found["images"][20:, :33], np.repeat(EXAMPLES[2].image[-1:], 44, axis=0))


def batches(table: ImageTable, **options: Any) -> Any:
    defaults: dict[str, Any] = {"batch_size": 1, "num_epochs": 3, "seed": 0}
    return stream(len(table.sizes), Crop(table, 32), **defaults | options)


def test_a_stream_goes_on_from_its_state_with_the_same_crops(table: ImageTable) -> None:
    steps, whole = batches(table)
    assert steps == 3
    expected = [batch["images"] for batch in whole]
    assert len(expected) == 9 and expected[0].shape == (1, 32, 32, 3)
    _, interrupted = batches(table)
    for _ in islice(interrupted, 4):
        pass
    _, resumed = batches(table)
    resumed.set_state(interrupted.get_state())
    np.testing.assert_array_equal([batch["images"] for batch in resumed], expected[4:])
    # Another crop of the same image in each epoch, another order under another seed.
    assert len({image.tobytes() for image in expected}) >= 7  # the smallest has two
    assert not np.array_equal([batch["images"] for batch in batches(table, seed=1)[1]], expected)


class Draw(grain.transforms.RandomMap):
    """An example's number, and a random one."""

    def random_map(self, element: int, rng: np.random.Generator) -> dict[str, Any]:
        return {"example": element, "drawn": rng.random()}


@pytest.mark.parametrize("shards", [2, 4])
def test_processes_draw_together_what_one_process_draws(shards: int) -> None:
    options: dict[str, Any] = {"batch_size": 8, "num_epochs": 3, "seed": 0}
    _, whole = stream(19, Draw(), **options)
    of_shards = [stream(19, Draw(), **options, shard=shard, shards=shards)[1] for shard in range(shards)]
    drawn = []
    for batch, *parts in zip(whole, *of_shards, strict=True):
        for name in ("example", "drawn"):
            np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), batch[name])
        drawn.extend(batch["drawn"])
    assert len(set(drawn)) == len(drawn) == 3 * 2 * 8


def test_a_batch_size_that_cannot_be_is_refused(table: ImageTable) -> None:
    with pytest.raises(ValueError, match="batch_size 4 is larger than the data: 3"):
        batches(table, batch_size=4)
    with pytest.raises(ValueError, match="batch_size 3 is no multiple of 2 processes"):
        batches(table, batch_size=3, shards=2)


def test_a_table_that_exists_is_taken_as_it_is(tmp_path: Path) -> None:
    build_table(EXAMPLES[:1], tmp_path / "table")
    assert len(build_table(EXAMPLES, tmp_path / "table").sizes) == 1
