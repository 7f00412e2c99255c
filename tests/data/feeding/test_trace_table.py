import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from splice_jax.data import Example
from splice_jax.data.feeding import trace_table
from splice_jax.data.feeding.trace_table import COLUMNS, TraceCrop, TraceTable, build_table
from splice_jax.images import read_image, upright
from splice_jax.jpeg import STANDARD_TABLE, scaled_table
from splice_jax.models.traces import bank

SIZES = ((100, 150), (64, 96), (77, 140))
"""Of the three, the second is a JPEG, the third another that its file stores lying on its side."""
ENDS = np.cumsum([family.number for family in bank.TRACES])
PLACES = {family.name: slice(end - family.number, end) for family, end in zip(bank.TRACES, ENDS, strict=True)}


def example(number: int) -> Example:
    height, width = SIZES[number]
    random = np.random.default_rng(number)
    stored, mask = random.integers(0, 256, (height, width, 3), np.uint8), np.zeros((height, width), bool)
    mask[8:27, 18:42] = number != 1
    if number == 0:
        return Example(stored, mask, "0", False)
    exif, file = Image.Exif(), io.BytesIO()
    orientation = exif[0x0112] = 6 if number == 2 else 1
    Image.fromarray(stored).save(file, "JPEG", quality=80, exif=exif)
    return Example(read_image(file.getvalue()), upright(mask, orientation), str(number), False, file.getvalue())


EXAMPLES = [example(number) for number in range(3)]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> TraceTable:
    return build_table(EXAMPLES, tmp_path_factory.mktemp("tables") / "table")


def stored_pixels(number: int) -> np.ndarray:
    """In whole blocks, as the file stores them."""
    height, width = SIZES[number]
    found = EXAMPLES[number]
    pixels = np.asarray(Image.open(io.BytesIO(found.encoded))) if found.encoded else found.image
    return pixels[: height // 8 * 8, : width // 8 * 8]


def test_images_are_stored_one_after_another(table: TraceTable) -> None:
    assert table.sizes.tolist() == [[12, 18], [8, 12], [9, 17]]
    assert table.starts.tolist() == [0, 216, 312, 465]
    for column in COLUMNS:
        assert isinstance(getattr(table, column), np.memmap)
    for number, (rows, columns) in enumerate(table.sizes):
        traces, colours, targets = table.image(number)
        assert traces.shape == (rows, columns, bank.COUNT) and traces.dtype == np.float16
        assert colours.shape == (2 * rows, 2 * columns, 3) and targets.shape == (2 * rows, 2 * columns)
        assert np.isfinite(traces).all()


def test_traces_are_of_the_file_s_pixels_and_luma(table: TraceTable) -> None:
    for number in range(3):
        pixels, traces = stored_pixels(number).astype(float), table.image(number)[0].astype(float)
        rows, columns = table.sizes[number]
        green = pixels[..., 1]
        residual = np.abs(green - ndimage.uniform_filter(green, 3, mode="nearest"))
        expected = np.log(residual.reshape(rows, 8, columns, 8).mean((1, 3)) + 0.01)
        np.testing.assert_allclose(traces[..., PLACES["residual"]][..., 1], expected, atol=2e-3)
        steps = scaled_table(STANDARD_TABLE, 80).astype(float) if number else np.ones((8, 8))
        expected = np.log(steps[0, 1] + steps[1, 0] + steps[1, 1])
        np.testing.assert_allclose(traces[..., PLACES["steps"]], expected, atol=2e-3)


def test_colours_and_targets_are_means_of_4x4_pixels(table: TraceTable) -> None:
    for number in range(3):
        _, colours, targets = table.image(number)
        rows, columns = table.sizes[number] * 2
        means = stored_pixels(number).reshape(rows, 4, columns, 4, 3).mean((1, 3))
        assert np.abs(colours - means).max() <= 0.5001
        mask = np.zeros((rows * 4, columns * 4))
        mask[8:27, 18:42] = number != 1
        share = mask.reshape(rows, 4, columns, 4).mean((1, 3))
        assert np.abs(targets - 255 * share).max() <= 0.5001


def test_each_image_has_its_own_scale(table: TraceTable) -> None:
    for number in range(3):
        flat = table.image(number)[0].reshape(-1, bank.COUNT).astype(float)
        median = np.quantile(flat, 0.5, axis=0, method="inverted_cdf")
        np.testing.assert_allclose(table.medians[number], median, atol=5e-3)
        deviation = np.quantile(np.abs(flat - median), 0.5, axis=0, method="inverted_cdf")
        np.testing.assert_allclose(table.spreads[number], 1.4826 * deviation, atol=1e-2)


def test_of_a_large_image_a_part_is_stored_where_its_mask_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_table, "WINDOW", 5)
    table = build_table(EXAMPLES * 3, tmp_path / "parts")
    assert (table.sizes == 5).all()
    places = set()
    for number in range(9):
        _, colours, targets = table.image(number)
        pixels = stored_pixels(number % 3).astype(float)
        rows, columns = (side // 8 for side in pixels.shape[:2])
        means = pixels.reshape(2 * rows, 4, 2 * columns, 4, 3).mean((1, 3))
        found = [
            (y, x)
            for y in range(rows - 4)
            for x in range(columns - 4)
            if np.abs(means[2 * y : 2 * y + 10, 2 * x : 2 * x + 10] - colours).max() <= 0.5001
        ]
        ((y, x),) = found
        mask = np.zeros(pixels.shape[:2])
        mask[8:27, 18:42] = number % 3 != 1
        part = mask[8 * y : 8 * y + 40, 8 * x : 8 * x + 40].reshape(10, 4, 10, 4).mean((1, 3))
        assert np.abs(targets - 255 * part).max() <= 0.5001
        places.add((y, x))
    assert len(places) > 5


def test_a_crop_is_a_window_of_whole_blocks_and_the_generator_decides_which(table: TraceTable) -> None:
    crop, places = TraceCrop(table, 8), set()
    traces, colours, targets = table.image(0)
    for seed in range(20):
        found, again = (crop(0, np.random.default_rng(seed)) for _ in range(2))
        for name, array in found.items():
            np.testing.assert_array_equal(array, again[name])
        windows = np.lib.stride_tricks.sliding_window_view(traces, (8, 8, bank.COUNT))[:, :, 0]
        ((y, x),) = np.argwhere((windows == found["traces"]).all(axis=(2, 3, 4)))
        fine = slice(2 * y, 2 * y + 16), slice(2 * x, 2 * x + 16)
        np.testing.assert_array_equal(found["colours"], colours[fine])
        np.testing.assert_array_equal(found["targets"], targets[fine])
        assert found["inside"].all() and found["inside"].shape == (8, 8)
        np.testing.assert_array_equal(found["medians"], table.medians[0])
        np.testing.assert_array_equal(found["spreads"], table.spreads[0])
        places.add((y, x))
    assert len(places) > 10


def test_an_image_smaller_than_a_crop_fills_its_upper_left(table: TraceTable) -> None:
    found = TraceCrop(table, 16)(1, np.random.default_rng(0))
    traces, colours, targets = table.image(1)
    inside = np.zeros((16, 16))
    inside[:8, :12] = 1
    np.testing.assert_array_equal(found["inside"], inside)
    fine = inside.repeat(2, 0).repeat(2, 1) > 0
    for name, whole, place in (("traces", traces, inside > 0), ("colours", colours, fine), ("targets", targets, fine)):
        np.testing.assert_array_equal(found[name][: len(whole), : whole.shape[1]], whole)
        assert not found[name][~place].any()
    wide = TraceCrop(table, 16)(0, np.random.default_rng(0))
    assert wide["inside"].sum() == 12 * 16


def test_a_table_that_exists_is_taken_as_it_is(table: TraceTable, tmp_path: Path) -> None:
    build_table(EXAMPLES[:1], tmp_path / "table")
    assert len(build_table(EXAMPLES, tmp_path / "table").sizes) == 1
    assert sorted(path.stem for path in (tmp_path / "table").iterdir()) == sorted(COLUMNS)
