"""Steps found in decoded pixels against those in the file, and pixels that no JPEG decodes to."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from splice_jax.models.traces.decoded import chroma_steps, clipped_blocks, grid_origin, luma_steps
from splice_jax.models.traces.reading import read
from splice_jax.models.traces.recompression import CHROMA_ZERO, TO_YCC

RANDOM = np.random.default_rng(0)
SIDE = 256


def _scene() -> np.ndarray:
    """Grain of several sizes in weak colours, without a clipped pixel."""
    grain = sum(
        ndimage.gaussian_filter(RANDOM.normal(0, 14 * sigma, (SIDE, SIDE, 3)), (sigma,) * 2 + (0,))
        for sigma in (0.7, 2, 8)
    )
    grey, colours = grain.mean(-1, keepdims=True), 0.5 * grain
    return (128 + grey + colours).clip(20, 235).round().astype(np.uint8)


SCENE = _scene()


def jpeg(pixels: np.ndarray, quality: int, subsampling: int = 0) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return file.getvalue()


def decoded(file: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Pixels, and the tables of luma and chroma."""
    with Image.open(io.BytesIO(file)) as image:
        tables = np.array(list(image.quantization.values()))  # type: ignore[attr-defined]
        return np.asarray(image.convert("RGB")), tables.reshape(-1, 8, 8)


def levels(pixels: np.ndarray) -> np.ndarray:
    return np.rint(pixels @ TO_YCC.T + np.array([0, CHROMA_ZERO, CHROMA_ZERO], np.float32))


def steps(pixels: np.ndarray) -> np.ndarray | None:
    found = luma_steps(levels(pixels)[..., 0], clipped_blocks(pixels))
    return None if found is None else found.steps


@pytest.mark.parametrize("quality", [50, 75, 90, 95])
def test_the_steps_are_the_file_s(quality: int) -> None:
    """Low frequencies, at which many coefficients are not 0: at others, multiples of a step may be all there is."""
    pixels, (luma, _) = decoded(jpeg(SCENE, quality))
    found = steps(pixels)
    assert found is not None
    np.testing.assert_array_equal(found[:3, :3], luma[:3, :3])


@pytest.mark.parametrize("quality", [75, 90, 95])
def test_the_steps_of_chroma_are_the_file_s(quality: int) -> None:
    pixels, (_, chroma) = decoded(jpeg(SCENE, quality))
    colours = chroma_steps(levels(pixels)[..., 1:], clipped_blocks(pixels))
    assert colours is not None
    np.testing.assert_array_equal(colours[:2, :2], chroma[:2, :2])


@pytest.mark.parametrize("quality", [75, 85])
def test_pixels_are_read_as_their_file(quality: int) -> None:
    file = jpeg(SCENE, quality)
    pixels, _ = decoded(file)
    of_pixels, of_file = read(pixels), read(pixels, file)
    np.testing.assert_array_equal(of_pixels.planes, of_file.planes)
    np.testing.assert_array_equal(of_pixels.tables[:, :2, :2], of_file.tables[:, :2, :2])


@pytest.mark.parametrize("top, left", [(0, 0), (3, 5), (7, 0), (8, 17)])
@pytest.mark.parametrize("quality", [50, 85, 95])
def test_off_its_grid_a_jpeg_is_read_from_its_first_whole_block(top: int, left: int, quality: int) -> None:
    pixels, _ = decoded(jpeg(SCENE, quality))
    whole, part = read(pixels), read(pixels[top:, left : SIDE - 3])
    assert part.origin == grid_origin(pixels[top:, left : SIDE - 3]) == (-top % 8, -left % 8)
    window = np.s_[top + part.origin[0] :, left + part.origin[1] : (SIDE - 3) // 8 * 8]
    np.testing.assert_array_equal(part.image, pixels[window])
    np.testing.assert_array_equal(part.planes, whole.planes[window])
    np.testing.assert_array_equal(part.tables[:, :2, :2], whole.tables[:, :2, :2])


def test_of_what_was_spliced_and_cropped_since_the_grid_is_left() -> None:
    pixels = _with_a_part_that_was_not_compressed(decoded(jpeg(SCENE, 80))[0])[3:, 5:]
    reading = read(pixels)
    assert reading.origin == (5, 3)
    np.testing.assert_array_equal(reading.image, pixels[5:, 3:][:248, :248])
    np.testing.assert_allclose(reading.planes[..., 0], reading.image @ TO_YCC[0], rtol=1e-5)
    np.testing.assert_array_equal(reading.tables, np.ones((2, 8, 8)))


@pytest.mark.parametrize("before", [30, 50, 75])
def test_of_two_grids_the_one_whose_steps_show_is_taken(before: int) -> None:
    """A crop that was saved again at a high quality: the earlier grid stands out more."""
    first, _ = decoded(jpeg(SCENE, before))
    pixels, (luma, _) = decoded(jpeg(first[3:, 5:], 98))
    assert grid_origin(pixels) == (5, 3)
    reading = read(pixels)
    assert reading.origin == (0, 0)
    np.testing.assert_array_equal(reading.tables[0, :3, :3], luma[:3, :3])


@pytest.mark.parametrize("shape", [(8, 8), (14, 300), (40, 40)])
def test_small_pictures_show_no_grid(shape: tuple[int, int]) -> None:
    pixels, _ = decoded(jpeg(SCENE, 80))
    assert grid_origin(pixels[: shape[0], : shape[1]]) is None


def test_a_picture_that_is_flat_above_is_told_by_the_rest() -> None:
    flat = np.full((600, SIDE, 3), 128, np.uint8)
    pixels, (luma, _) = decoded(jpeg(np.concatenate([flat, SCENE]), 80))
    found = steps(pixels)
    assert found is not None
    np.testing.assert_array_equal(found[:2, :2], luma[:2, :2])


@pytest.mark.parametrize("quality", [10, 20, 30, 40, 45])
def test_of_low_qualities_no_low_step_is_wrong(quality: int) -> None:
    pixels, (luma, _) = decoded(jpeg(SCENE, quality))
    found = steps(pixels)
    assert found is None or np.array_equal(found[:2, :2], luma[:2, :2])


@pytest.mark.parametrize("level", [-75, 75])
def test_dark_and_bright_pictures_have_the_same_steps(level: int) -> None:
    scene = (0.4 * (SCENE.astype(float) - 128) + 128 + level).astype(np.uint8)
    pixels, (luma, _) = decoded(jpeg(scene, 85))
    found = steps(pixels)
    assert found is not None
    np.testing.assert_array_equal(found[:2, :2], luma[:2, :2])


def test_unknown_steps_are_as_large_as_the_largest_known() -> None:
    smooth = ndimage.gaussian_filter(SCENE.astype(float), (1.5, 1.5, 0))
    smooth = (128 + 4 * (smooth - 128)).clip(20, 235).astype(np.uint8)
    pixels, _ = decoded(jpeg(smooth, 50))
    found = steps(pixels)
    assert found is not None and found[7, 7] == found.max() and found[0, 1] == 11


def test_subsampled_chroma_is_the_pixels() -> None:
    pixels, (luma, _) = decoded(jpeg(SCENE, 80, subsampling=2))
    reading = read(pixels)
    np.testing.assert_array_equal(reading.tables[0, :3, :3], luma[:3, :3])
    np.testing.assert_array_equal(reading.tables[1], np.ones((8, 8)))
    np.testing.assert_allclose(reading.planes[..., 1:], pixels @ TO_YCC[1:].T + CHROMA_ZERO, rtol=1e-5)


def _with_a_part_that_was_not_compressed(pixels: np.ndarray, side: int = 64) -> np.ndarray:
    pixels = pixels.copy()
    pixels[64 : 64 + side, 96 : 96 + side] = SCENE[64 : 64 + side, 96 : 96 + side]
    return pixels


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda pixels: SCENE, id="never compressed"),
        pytest.param(lambda pixels: (1.07 * pixels + 3).astype(np.uint8), id="brighter"),
        pytest.param(
            lambda pixels: (pixels + np.random.default_rng(1).integers(0, 3, pixels.shape) - 1).astype(np.uint8),
            id="grain",
        ),
        pytest.param(lambda pixels: np.asarray(Image.fromarray(pixels).resize((128, 128))), id="smaller"),
        pytest.param(_with_a_part_that_was_not_compressed, id="spliced afterwards"),
        pytest.param(lambda pixels: _with_a_part_that_was_not_compressed(pixels, 20), id="a small splice"),
        pytest.param(lambda pixels: decoded(jpeg(SCENE, 100))[0], id="steps of 1"),
        pytest.param(lambda pixels: pixels[:48, :56], id="too few blocks"),
        pytest.param(lambda pixels: np.full_like(pixels, 77), id="flat"),
        pytest.param(lambda pixels: np.tile(SCENE[:16, :16], (16, 16, 1)), id="a pattern"),
        pytest.param(lambda pixels: np.where(pixels > 128, 255, 0).astype(np.uint8), id="clipped"),
    ],
)
def test_what_no_jpeg_decodes_to_has_no_steps(change) -> None:
    pixels = change(decoded(jpeg(SCENE, 80))[0])
    assert steps(pixels) is None
    np.testing.assert_array_equal(read(pixels).tables, np.ones((2, 8, 8)))
    np.testing.assert_allclose(read(pixels).planes[..., 0], pixels @ TO_YCC[0], rtol=1e-5)
