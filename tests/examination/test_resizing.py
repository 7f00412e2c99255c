"""The trace that resizing leaves."""

import numpy as np
import pytest
from PIL import Image

from splice_jax.examination.resizing import resized
from splice_jax.images import read_image
from tests.examination.samples import jpeg, scene

PHOTO = scene(320, 400)


def enlarged(factor: float, resampling: Image.Resampling) -> np.ndarray:
    size = round(400 * factor), round(320 * factor)
    return np.array(Image.fromarray(PHOTO).resize(size, resampling))


@pytest.mark.parametrize("factor", [1.2, 1.5, 1.9])
@pytest.mark.parametrize("resampling", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])
def test_what_was_enlarged_is_found(factor: float, resampling: Image.Resampling) -> None:
    assert resized(enlarged(factor, resampling))


@pytest.mark.parametrize("quality", [None, 95, 75, 50])
def test_what_was_not_is_not_and_jpeg_blocks_do_not_count(quality: int | None) -> None:
    assert not resized(PHOTO if quality is None else read_image(jpeg(PHOTO, quality=quality)))


def test_nothing_is_said_of_small_and_of_flat_photographs() -> None:
    assert not resized(enlarged(1.5, Image.Resampling.BICUBIC)[:200, :200])
    assert not resized(np.full((300, 300, 3), 90, np.uint8))


def test_photographs_of_cameras(real_data) -> None:
    paths = sorted((real_data / "photographs/val/photos").glob("phones-*.jpg"))
    assert len(paths) == 9
    assert not any(resized(read_image(path)) for path in paths)
