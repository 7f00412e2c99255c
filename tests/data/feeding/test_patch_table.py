from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splice_jax.data import Example
from splice_jax.data.feeding.patch_table import COLUMNS, PatchTable, build_table, open_table, unpack_masks
from splice_jax.errors import UserError
from splice_jax.images import residual_level

SIZES = ((64, 64), (130, 100), (40, 70), (64, 96))
ORIGINS = [
    [(0, 0)],
    [(0, 0), (0, 36), (64, 0), (64, 36), (66, 0), (66, 36)],
    [(0, 0), (0, 6)],
    [(0, 0), (0, 32)],
]
"""Every 64 pixels, the last row and column moved inwards."""


def example(number: int, mask: np.ndarray | None = None) -> Example:
    random = np.random.default_rng(number)
    image = random.integers(0, 256, (*SIZES[number], 3), np.uint8)
    return Example(image, random.random(SIZES[number]) < 0.5 if mask is None else mask, f"image{number}", False)


EXAMPLES = [example(number) for number in range(len(SIZES))]


def padded(image: np.ndarray) -> np.ndarray:
    """To 64 rows at least, the last one repeated."""
    return np.concatenate([image, np.repeat(image[-1:], max(64 - len(image), 0), axis=0)])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> PatchTable:
    return build_table(EXAMPLES, tmp_path_factory.mktemp("tables") / "table")


def test_patches_and_masks_are_those_of_the_grid_image_after_image(table: PatchTable) -> None:
    masks = unpack_masks(table.masks)
    row = 0
    for number, origins in enumerate(ORIGINS):
        image, mask = padded(EXAMPLES[number].image), padded(EXAMPLES[number].mask)
        for y, x in origins:
            np.testing.assert_array_equal(table.patches[row], image[y : y + 64, x : x + 64])
            np.testing.assert_array_equal(masks[row], mask[y : y + 64, x : x + 64])
            assert table.image_of_patch[row] == number
            row += 1
    assert row == len(table.patches) == len(table.masks) == len(table.labels) == len(table.image_of_patch)


def test_levels_and_sizes_are_those_of_whole_images(table: PatchTable) -> None:
    np.testing.assert_array_equal(table.residual_levels, [residual_level(example.image) for example in EXAMPLES])
    np.testing.assert_array_equal(table.sizes, SIZES)


def test_masks_are_gathered_in_any_order_and_shape_and_take_a_bit_per_pixel(table: PatchTable) -> None:
    rows = np.array([[9, 2], [2, 0]])
    gathered = unpack_masks(table.masks[rows])
    assert gathered.shape == (2, 2, 64, 64) and set(np.unique(gathered)) == {0, 1}
    np.testing.assert_array_equal(gathered[0, 1], EXAMPLES[1].mask[:64, 36:])
    np.testing.assert_array_equal(gathered[0, 1], gathered[1, 0])
    np.testing.assert_array_equal(gathered[1, 1], EXAMPLES[0].mask)
    assert table.masks.nbytes == 11 * 64 * 64 // 8


def test_a_patch_is_spliced_from_more_than_seven_eighths_on(tmp_path: Path) -> None:
    exactly, more = np.zeros((64, 64), bool), np.zeros((64, 64), bool)
    exactly[:56] = more[:56] = True
    more[63, 63] = True
    table = build_table([example(0, exactly), example(0, more)], tmp_path / "table")
    assert table.labels.tolist() == [0, 1]


def test_thumbnails_are_whole_images_resized_by_lanczos(table: PatchTable) -> None:
    for example, thumbnail in zip(EXAMPLES, table.thumbnails, strict=True):
        expected = Image.fromarray(example.image).resize((224, 224), Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(thumbnail, np.asarray(expected))


def test_stride_and_border_are_those_of_the_grid(tmp_path: Path) -> None:
    cropped = build_table([EXAMPLES[1]], tmp_path / "cropped", border="crop")
    np.testing.assert_array_equal(cropped.patches, [EXAMPLES[1].image[:64, :64], EXAMPLES[1].image[64:128, :64]])
    dense = build_table([EXAMPLES[3]], tmp_path / "dense", stride=16)
    np.testing.assert_array_equal(dense.patches[2], EXAMPLES[3].image[:, 32:])
    assert len(dense.patches) == 3


def test_columns_are_mapped_from_disk_with_their_types(table: PatchTable) -> None:
    types = {column: getattr(table, column).dtype for column in COLUMNS}
    others = {"image_of_patch": np.int32, "residual_levels": np.float32, "sizes": np.int32}
    assert types == dict.fromkeys(COLUMNS, np.uint8) | others
    for column in COLUMNS:
        assert isinstance(getattr(table, column), np.memmap)
        assert not getattr(table, column).flags.writeable


def test_a_table_that_exists_is_taken_as_it_is(table: PatchTable, tmp_path: Path) -> None:
    class Unread(list):
        def __iter__(self):
            pytest.fail("the images are read again")

    build_table(EXAMPLES, tmp_path / "table")
    again = build_table(Unread(EXAMPLES), tmp_path / "table")
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(again, column), getattr(table, column))
        np.testing.assert_array_equal(getattr(open_table(tmp_path / "table"), column), getattr(table, column))
    assert sorted(path.name for path in (tmp_path / "table").iterdir()) == sorted(f"{name}.npy" for name in COLUMNS)


class Broken(list):
    def __iter__(self):
        yield self[0]
        raise self[1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, UserError])
def test_an_interrupted_table_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        build_table(Broken([EXAMPLES[0], error]), tmp_path / "tables" / "table")
    assert list((tmp_path / "tables").iterdir()) == []
    assert len(build_table(EXAMPLES, tmp_path / "tables" / "table").patches) == 11


def test_of_two_processes_that_build_a_table_the_first_to_finish_gives_it_to_both(tmp_path: Path) -> None:
    class Slow(list):
        def __iter__(self):
            build_table(list(self[:2]), tmp_path / "other")
            (tmp_path / "other").rename(tmp_path / "table")  # what the other process does meanwhile
            return super().__iter__()

    assert len(build_table(Slow(EXAMPLES), tmp_path / "table").patches) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["table"]


def test_half_tables_of_killed_processes_go_even_where_the_table_is_there(tmp_path: Path) -> None:
    build_table(EXAMPLES, tmp_path / "table")
    half = tmp_path / f".other.{'0' * 16}.partial"
    half.mkdir()
    (half / "patches.raw").write_bytes(b"half")
    (tmp_path / f".other.{'0' * 16}.lock").touch()
    build_table(EXAMPLES, tmp_path / "table")
    assert [path.name for path in tmp_path.iterdir()] == ["table"]
