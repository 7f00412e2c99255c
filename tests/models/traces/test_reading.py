"""Pixels and luma of one orientation, in windows of whole blocks."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from splice_jax.images import read_image, upright
from splice_jax.models.traces.reading import Reading, as_stored, read

RANDOM = np.random.default_rng(0)
SCENE = (128 + 60 * ndimage.gaussian_filter(RANDOM.normal(0, 4, (45, 70, 3)), (3, 3, 0))).clip(0, 255).astype(np.uint8)
YCC = np.array([[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]])
ZERO = np.array([0, 128, 128])


def jpeg(pixels: np.ndarray, orientation: int = 1, subsampling: int = 0) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80, subsampling=subsampling, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_and_luma_are_of_one_orientation_the_file_s(orientation: int) -> None:
    file = jpeg(SCENE, orientation)
    reading = read(read_image(file), file)
    assert reading.orientation == orientation and reading.blocks == (5, 8)
    with Image.open(io.BytesIO(file)) as image:
        stored, tables = np.asarray(image), list(image.quantization.values())  # type: ignore[attr-defined]
    np.testing.assert_array_equal(reading.image, stored[:40, :64])
    assert np.abs(reading.image @ YCC.T + ZERO - reading.planes).max() < 3  # of rounding and clipping
    np.testing.assert_array_equal(reading.tables.reshape(2, 64), tables)
    assert reading.planes.dtype == reading.tables.dtype == np.float32


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_back_is_as_stored(orientation: int) -> None:
    for pixels in (SCENE, SCENE[..., 0]):
        np.testing.assert_array_equal(as_stored(upright(pixels, orientation), orientation), pixels)


def test_what_is_no_jpeg_is_judged_by_its_pixels() -> None:
    file = io.BytesIO()
    Image.fromarray(SCENE).save(file, "PNG")
    for encoded in (b"", file.getvalue()):
        reading = read(SCENE, encoded)
        np.testing.assert_array_equal(reading.image, SCENE[:40, :64])
        np.testing.assert_allclose(reading.planes, (SCENE @ YCC.T + ZERO)[:40, :64], rtol=1e-5)
        np.testing.assert_array_equal(reading.tables, np.ones((2, 8, 8)))
        assert reading.orientation == 1


def test_chroma_that_is_not_read_is_the_pixels() -> None:
    """Of a 4:2:2 file: its luma and that table are its own."""
    file = jpeg(SCENE, subsampling=1)
    image = read_image(file)
    reading = read(image, file)
    np.testing.assert_allclose(reading.planes[..., 1:], (image @ YCC.T + ZERO)[:40, :64, 1:], rtol=1e-5)
    np.testing.assert_array_equal(reading.tables[1], np.ones((8, 8)))
    assert (reading.tables[0] > 1).all()


def test_chroma_of_half_the_resolution_lies_in_blocks_of_luma() -> None:
    file = jpeg(SCENE, subsampling=2)
    reading = read(read_image(file), file)
    blocks = reading.planes[..., 1:].reshape(5, 8, 8, 8, 2)
    np.testing.assert_array_equal(blocks[0], blocks[1])
    np.testing.assert_array_equal(blocks[:, :, 2], blocks[:, :, 3])
    assert (reading.tables[1] > 1).all()


@pytest.mark.parametrize("orientation", [1, 4, 6, 7])
def test_a_mask_is_cut_to_the_blocks_as_the_picture_is(orientation: int) -> None:
    file = jpeg(SCENE, orientation)
    reading, number = read(read_image(file), file), np.arange(SCENE[..., 0].size).reshape(SCENE.shape[:2])
    np.testing.assert_array_equal(reading.cut(upright(number, orientation)), number[:40, :64])
    moved = reading._replace(orientation=1, origin=(2, 3))
    np.testing.assert_array_equal(moved.cut(number), number[2:42, 3:67])


def test_a_window_repeats_the_border_beyond_it() -> None:
    reading = read(SCENE)
    part = reading.window(2, 5, 2, 3)
    np.testing.assert_array_equal(part.image, SCENE[16:32, 40:64])
    np.testing.assert_array_equal(part.planes, reading.planes[16:32, 40:64])
    padded = reading.window(0, 0, 6, 10)
    assert isinstance(padded, Reading) and padded.blocks == (6, 10)
    expected = np.pad(SCENE[:40, :64], ((0, 8), (0, 16), (0, 0)), mode="edge")
    np.testing.assert_array_equal(padded.image, expected)
    np.testing.assert_array_equal(padded.planes, np.pad(reading.planes, ((0, 8), (0, 16), (0, 0)), mode="edge"))
