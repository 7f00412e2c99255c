"""Photograph-like scenes and what JPEG compression makes of them, for the rows that look for its traces."""

import functools
import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from splice_jax.data.composing.camera import Camera, photograph
from splice_jax.data.composing.recipes import encode_jpeg
from splice_jax.data.composing.scenes import draw_scene
from splice_jax.metrics import auc

SIZE = 256, 320


class Trial(NamedTuple):
    """A patch of one scene in another, at a place that meets no grid."""

    host: np.ndarray
    donor: np.ndarray
    mask: np.ndarray

    def spliced(self, host: np.ndarray | None = None, donor: np.ndarray | None = None) -> np.ndarray:
        """With the host, the donor or both as they have become."""
        host, donor = self.host if host is None else host, self.donor if donor is None else donor
        return np.where(self.mask[..., None], donor, host)

    def area(self, probability: np.ndarray) -> float:
        return auc(probability, self.mask)


@pytest.fixture(scope="session")
def trial() -> Callable[[int], Trial]:
    """Two scenes seen by one camera."""
    camera = Camera(read_noise=0.001, shot_noise=0.0002)

    @functools.cache
    def draw(seed: int) -> Trial:
        generator = np.random.default_rng(seed)
        host, donor = (photograph(draw_scene(*SIZE, generator)[0], camera, generator) for _ in range(2))
        mask = np.zeros(SIZE, bool)
        mask[60:163, 90:221] = True
        return Trial(host, donor, mask)

    return draw


@pytest.fixture(scope="session")
def compressed() -> Callable[..., np.ndarray]:
    """What is left of an image after compression at a quality, with the grid at a (row, column)."""

    def compress(image: np.ndarray, quality: int, grid: tuple[int, int] = (0, 0)) -> np.ndarray:
        rolled = np.roll(image, (-grid[0], -grid[1]), (0, 1))
        decoded = np.asarray(Image.open(io.BytesIO(encode_jpeg(rolled, quality))))
        return np.roll(decoded, grid, (0, 1))

    return compress
