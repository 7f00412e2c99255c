"""Histograms in an unnamed file."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from splice_jax.evaluation.scores.histograms import OnDisk, on_disk
from splice_jax.evaluation.scores.image import BINS
from splice_jax.files import Unwritable


def made_up(images: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**31, (images, 2, BINS), np.int32)


def test_what_is_added_is_there_in_order_when_the_folder_shows_nothing(tmp_path: Path) -> None:
    parts = [made_up(images, images) for images in (3, 0, 5)]
    with on_disk(tmp_path) as kept:
        for part in parts:
            kept.add(part)
        found = kept.mapped()
        assert isinstance(found, np.memmap)
    assert list(tmp_path.iterdir()) == []
    np.testing.assert_array_equal(found, np.concatenate(parts))


def test_without_images_there_are_none(tmp_path: Path) -> None:
    with on_disk(tmp_path) as kept:
        assert kept.mapped().shape == (0, 2, BINS)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with (
        open("/dev/full", "wb", buffering=0) as full,
        pytest.raises(Unwritable, match=f"{tmp_path}: .*{os.strerror(errno.ENOSPC)}"),
    ):
        OnDisk(full, tmp_path).add(made_up(1, 0))
