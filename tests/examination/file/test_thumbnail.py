"""The embedded thumbnail and its comparison with the photograph."""

import numpy as np
import pytest
from PIL import Image

from splice_jax.examination.file.thumbnail import compare, read_thumbnail
from splice_jax.images import read_image, resize
from tests.examination.samples import exif_with_thumbnail, jpeg, scene

PHOTO = scene(480, 640)


def embedded(thumbnail: np.ndarray, photo: np.ndarray = PHOTO, orientation: int = 1) -> bytes:
    return jpeg(photo, exif=exif_with_thumbnail(jpeg(thumbnail, quality=70), orientation))


@pytest.mark.parametrize("resampling", [Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.NEAREST])
def test_a_cameras_thumbnail_shows_the_same(resampling: Image.Resampling) -> None:
    small = np.array(Image.fromarray(PHOTO).resize((160, 120), resampling))
    brighter = (0.9 * small + 20).astype(np.uint8)
    encoded = embedded(brighter)
    found = read_thumbnail(encoded, read_image(encoded))
    assert found is not None and not found.differs
    assert found.correlation > 0.95 and found.difference < 20 and found.pixels.shape == (120, 160, 3)


def test_a_part_that_was_changed_afterwards_differs() -> None:
    changed = PHOTO.copy()
    changed[200:300, 300:420] = 255 - changed[200:300, 300:420] // 3
    encoded = embedded(resize(PHOTO, (120, 160)), changed)
    found = read_thumbnail(encoded, read_image(encoded))
    assert found is not None and found.differs and found.same_shape
    picture = found.difference_picture()
    assert picture[55:70, 80:100].mean() > 3 * picture[:40, :60].mean()


def test_another_crop_differs_in_shape() -> None:
    encoded = embedded(resize(PHOTO, (120, 160)), PHOTO[:, :400])
    found = read_thumbnail(encoded, read_image(encoded))
    assert found is not None and not found.same_shape and found.differs


def test_black_bars_are_cut_away() -> None:
    wide = scene(400, 600)
    boxed = np.zeros((120, 160, 3), np.uint8)
    boxed[7:113] = resize(wide, (106, 160))
    found = compare(boxed, wide)
    assert found.same_shape and not found.differs and found.pixels.shape == (106, 160, 3)


def test_it_is_turned_with_the_photograph() -> None:
    encoded = embedded(resize(PHOTO, (120, 160)), PHOTO, orientation=6)
    image = read_image(encoded)
    found = read_thumbnail(encoded, image)
    assert image.shape == (640, 480, 3)
    assert found is not None and not found.differs and found.pixels.shape == (160, 120, 3)


def test_what_is_no_thumbnail_is_none() -> None:
    for content in (b"", b"\xff\xd8 broken", jpeg(scene(8, 8)), jpeg(np.zeros((1200, 1200, 3), np.uint8))):
        encoded = jpeg(scene(64, 64), exif=exif_with_thumbnail(content))
        assert read_thumbnail(encoded, read_image(encoded)) is None
    assert read_thumbnail(jpeg(PHOTO), PHOTO) is None and read_thumbnail(b"", PHOTO) is None


def test_flat_pictures_are_compared_without_a_warning() -> None:
    flat = np.full((60, 80, 3), 90, np.uint8)
    assert not compare(flat, np.full((480, 640, 3), 120, np.uint8)).differs
