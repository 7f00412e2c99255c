"""Compression without a codec against Pillow's."""

import io
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from splice_jax.jpeg import STANDARD_CHROMA_TABLE, STANDARD_TABLE, read_luma, scaled_table
from splice_jax.models.traces import recompression, whole_numbers


def picture(seed: int, noise: float = 1.0) -> np.ndarray:
    """Smooth greys and colours under noise."""
    random = np.random.default_rng(seed)
    grey = ndimage.gaussian_filter(random.normal(0, 1, (64, 96, 1)), (4, 4, 0))
    colour = ndimage.gaussian_filter(random.normal(0, 1, (64, 96, 3)), (8, 8, 0))
    grains = random.normal(0, noise, (64, 96, 1)) + random.normal(0, noise / 2, (64, 96, 3))
    return (128 + 25 * grey / grey.std() + 10 * colour / colour.std() + grains).clip(0, 255).astype(np.uint8)


def by_pillow(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling=0)
    return np.asarray(Image.open(file)).astype(int)


@pytest.fixture(scope="module")
def recompress() -> Callable[[np.ndarray, int], np.ndarray]:
    compiled = jax.jit(recompression.recompress, static_argnums=1)
    return lambda image, quality: np.asarray(compiled(image, quality))


@pytest.mark.parametrize("quality", [1, 5, 25, 50, 60, 75, 85, 92, 97, 100])
def test_it_gives_what_libjpeg_decodes_to_the_last_bit(recompress: Callable, quality: int) -> None:
    for seed, noise in enumerate((0.3, 1.0, 8.0, 20.0, 60.0, 200.0)):
        image = picture(seed, noise)
        np.testing.assert_array_equal(recompress(image, quality), by_pillow(image, quality))


def test_of_what_was_compressed_before_too(recompress: Callable) -> None:
    """Its coefficients lie close to the middle between two steps, where the last bit decides."""
    for quality in (60, 75, 85, 92):
        image: Any = by_pillow(picture(0, 8.0), quality).astype(np.uint8)
        for again in (52, 70, 85, 92, 96):
            np.testing.assert_array_equal(recompress(image, again), by_pillow(image, again))


def test_coefficients_are_libjpeg_s() -> None:
    image: Any = picture(2, 20.0)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=75, subsampling=0)
    luma = read_luma(file.getvalue())
    steps = np.array([scaled_table(table, 75) for table in (STANDARD_TABLE, *[STANDARD_CHROMA_TABLE] * 2)], np.int32)
    levels = whole_numbers.quantised(recompression._spectra(recompression._blocks(image)), steps[..., None, None])
    np.testing.assert_array_equal(np.asarray(levels)[0].transpose(2, 3, 0, 1), luma.coefficients)


def test_uncompiled_it_is_the_same(recompress: Callable) -> None:
    image: Any = picture(1)
    np.testing.assert_array_equal(recompression.recompress(image, 75), recompress(image, 75))


def test_the_planes_are_pillow_s() -> None:
    image: Any = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    found = np.moveaxis(np.asarray(recompression.ycc(image.astype(np.float32))), 0, -1)
    expected = np.asarray(Image.fromarray(image).convert("YCbCr")).astype(float)
    assert np.abs(found.clip(0, 255) - expected).max() < 1.01


def test_tables_are_libjpeg_s() -> None:
    for quality in range(1, 101):
        file = io.BytesIO()
        Image.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
        tables = Image.open(file).quantization  # type: ignore[attr-defined]
        for number, table in enumerate((STANDARD_TABLE, STANDARD_CHROMA_TABLE)):
            np.testing.assert_array_equal(scaled_table(table, quality).ravel(), tables[number])


def test_errors_are_small_where_a_picture_was_compressed_so_before() -> None:
    compute = jax.jit(recompression.errors)
    for index, quality in enumerate(recompression.QUALITIES[:4]):
        image = picture(1, 8.0)
        image[:32] = by_pillow(image, quality)[:32]
        errors = np.asarray(compute(image))
        assert errors.shape == (8, 12, 5)
        assert errors[:4, :, index].mean() < errors[4:, :, index].mean() - 1
        again = np.abs(by_pillow(image, quality) - image.astype(int)).reshape(8, 8, 12, 8, 3).mean((1, 3, 4))
        apart = np.abs(np.exp(errors[..., index]) - 0.01 - again)
        assert apart.max() < 1e-4
