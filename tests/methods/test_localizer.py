"""The interface of all methods."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import splice_jax
from splice_jax.errors import UserError
from splice_jax.methods import Found


def test_everything_is_valid_unless_a_method_says_otherwise():
    found = Found(np.zeros((2, 3), np.float32), np.zeros((2, 3), bool))
    assert found.valid.shape == (2, 3) and found.valid.all()
    assert found.score is None and found.alarm is None


def test_a_file_gives_what_its_pixels_and_bytes_give(tmp_path: Path):
    pixels = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    buffer, before = io.BytesIO(), io.BytesIO()
    Image.fromarray(pixels).save(before, "JPEG", quality=60)
    once = np.array(Image.open(before))
    once[:48] = pixels[:48]  # compressed once less than the rest
    Image.fromarray(once).save(buffer, "JPEG", quality=90)
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    decoded = np.asarray(Image.open(buffer))
    for name in ("noi1", "adq2"):  # the second needs the file
        localizer = splice_jax.localizer(name)
        found = localizer.localize_file(tmp_path / "a.jpg")
        np.testing.assert_array_equal(
            found.probability, localizer.localize_encoded(decoded, buffer.getvalue()).probability
        )


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(UserError, match="a.jpg"):
        splice_jax.localizer("noi1").localize_file(tmp_path / "a.jpg")
