"""Grids, labels and stitching against positions and means worked out by hand."""

import numpy as np
import pytest

from splice_jax.patches import Stitcher, extract, grid, labels, pad_to_patch

SIZES = [(1, 1), (63, 65), (64, 64), (100, 130), (200, 64)]


def starts(size: int, **options) -> list[int]:
    return grid(size, 64, **options)[:, 0, 0].tolist()


def stitched(size: tuple[int, int], origins: np.ndarray, maps: np.ndarray, chunk: int = 3) -> np.ndarray:
    stitcher = Stitcher(*size)
    for start in range(0, len(origins), chunk):
        stitcher.add(origins[start : start + chunk], maps[start : start + chunk])
    return stitcher.result()


@pytest.mark.parametrize(
    ("size", "stride", "inward", "crop"),
    [
        (1, 64, [0], [0]),
        (64, 64, [0], [0]),
        (65, 64, [0, 1], [0]),
        (127, 64, [0, 63], [0]),
        (128, 64, [0, 64], [0, 64]),
        (130, 64, [0, 64, 66], [0, 64]),
        (130, 32, [0, 32, 64, 66], [0, 32, 64]),
        (66, 1, [0, 1, 2], [0, 1, 2]),
    ],
)
def test_starts_of_patches(size, stride, inward, crop):
    assert starts(size, stride=stride) == inward
    assert starts(size, stride=stride, border="crop") == crop


def test_grid_holds_y_then_x_row_by_row():
    origins = grid(100, 130)
    assert origins.dtype == np.int32
    assert origins.tolist() == [[[0, 0], [0, 64], [0, 66]], [[36, 0], [36, 64], [36, 66]]]


@pytest.mark.parametrize("options", [{"stride": 0}, {"stride": 65}, {"border": "outward"}])
def test_grid_refuses_what_leaves_holes(options):
    with pytest.raises(ValueError, match="stride"):
        grid(100, 100, **options)
    with pytest.raises(ValueError, match="at least 1 pixel"):
        grid(0, 100)


def test_padding_repeats_the_last_row_and_column():
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    padded = pad_to_patch(image)
    assert padded.shape == (64, 64)
    np.testing.assert_array_equal(padded[:2, :3], image)
    assert (padded[2:, :3] == image[-1]).all()
    assert (padded[:2, 3:] == image[:, -1:]).all()
    assert (padded[2:, 3:] == 5).all()
    large = np.zeros((64, 65, 3), np.uint8)
    assert pad_to_patch(large) is large


@pytest.mark.parametrize("shape", [(100, 130), (100, 130, 3)])
def test_extract_cuts_at_the_origins(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    patches = extract(image, np.array([[0, 0], [36, 66]], np.int32))
    assert patches.dtype == np.uint8
    np.testing.assert_array_equal(patches, [image[:64, :64], image[36:, 66:]])


def test_extract_of_nothing_has_the_shape_of_patches():
    assert extract(np.zeros((64, 64, 3), np.uint8), np.zeros((0, 2), np.int32)).shape == (0, 64, 64, 3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [64, 40, 16])
def test_stitching_what_was_extracted_gives_the_image(size, stride):
    image = np.random.default_rng(1).random(size, np.float32)
    origins = grid(*size, stride=stride).reshape(-1, 2)
    result = stitched(size, origins, extract(image, origins))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, image, rtol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_crop_leaves_the_remainder_at_0(size):
    origins = grid(*size, border="crop").reshape(-1, 2)
    result = stitched(size, origins, np.ones((len(origins), 64, 64), np.float32))
    height, width = (min(side, max(side // 64, 1) * 64) for side in size)
    wanted = np.zeros(size, np.float32)
    wanted[:height, :width] = 1
    np.testing.assert_array_equal(result, wanted)


def test_overlaps_are_averaged():
    stitcher = Stitcher(64, 96)
    origins = grid(64, 96, stride=32).reshape(-1, 2)
    assert origins.tolist() == [[0, 0], [0, 32]]
    stitcher.add(origins, np.stack([np.full((64, 64), value, np.float32) for value in (0.25, 0.75)]))
    np.testing.assert_array_equal(stitcher.result()[0], np.repeat([0.25, 0.5, 0.75], 32))
    np.testing.assert_array_equal(stitcher.result()[0], np.repeat([0.25, 0.5, 0.75], 32))


@pytest.mark.parametrize(("spliced", "label"), [(0, 0), (3583, 0), (3584, 0), (3585, 1), (4096, 1)])
def test_labels_need_more_than_seven_eighths(spliced, label):
    mask = np.arange(4096) < spliced
    masks = np.stack([mask.reshape(64, 64), mask[::-1].reshape(64, 64)])
    assert labels(masks).tolist() == [label, label]
