"""Compression without a codec against Pillow's."""

import io
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from splice_jax.jpeg import STANDARD_CHROMA_TABLE, STANDARD_TABLE, ZIGZAG, read_luma, scaled_table
from splice_jax.models.traces import recompression


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
    return lambda image, quality: np.asarray(compiled(image.astype(np.float32), quality))


@pytest.mark.parametrize(("quality", "most"), [(50, 0.3), (60, 0.3), (75, 0.3), (85, 0.3), (92, 0.3), (98, 0.4)])
def test_it_gives_what_libjpeg_decodes(recompress: Callable, quality: int, most: float) -> None:
    pictures = [picture(seed) for seed in range(4)]
    found = np.stack([recompress(image, quality) for image in pictures])
    expected = np.stack([by_pillow(image, quality) for image in pictures])
    assert found.shape == expected.shape and not (found % 1).any()
    apart = np.abs(found - expected)
    assert (apart <= 2).mean() >= 0.99 and apart.mean() < most


@pytest.mark.parametrize("quality", [50, 75, 85, 92])
def test_levels_differ_from_libjpeg_s_only_where_they_are_nearly_tied(quality: int) -> None:
    """libjpeg computes in whole numbers: it may be off by a tenth, where a coefficient lies between two steps."""
    for seed, noise in ((0, 2.0), (1, 8.0), (2, 20.0)):
        image = picture(seed, noise)
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling=0)
        luma = read_luma(file.getvalue())
        rows, columns = np.array(ZIGZAG).T
        floats: Any = image.astype(np.float32)
        spectrum = np.asarray(recompression._spectra(recompression._blocks(floats))[0])
        multiples = spectrum / luma.table[rows, columns]
        levels = np.sign(multiples) * np.floor(np.abs(multiples) + 0.5)
        other = levels != luma.coefficients[:, :, rows, columns]
        from_a_tie = np.abs(np.abs(multiples) % 1 - 0.5) * luma.table[rows, columns]
        assert other.mean() < 0.015 and np.quantile(from_a_tie[other], 0.95) < 0.15


def test_uncompiled_it_is_the_same(recompress: Callable) -> None:
    floats: Any = picture(1).astype(np.float32)
    found = recompression.recompress(floats, 75)
    assert np.mean(found != recompress(picture(1), 75)) < 1e-3


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
        errors = np.asarray(compute(image.astype(np.float32)))
        assert errors.shape == (8, 12, 5)
        assert errors[:4, :, index].mean() < errors[4:, :, index].mean() - 1
        again = np.abs(by_pillow(image, quality) - image.astype(int)).reshape(8, 8, 12, 8, 3).mean((1, 3, 4))
        apart = np.abs(np.exp(errors[..., index]) - 0.01 - again)
        assert apart.mean() < 0.1 and np.quantile(apart, 0.9) < 0.2
