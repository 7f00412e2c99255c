"""Photographs made up for the tests of composing and reading: their content is noise over a gradient, never alike."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def _photograph(seed: int, height: int = 96, width: int = 120) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = np.linspace(40, 200, width)[None, :, None] + rng.normal(0, 12, (height, width, 3)) + rng.uniform(-20, 20, 3)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def photograph() -> Callable[..., np.ndarray]:
    """The photograph of a seed, by default 96 x 120."""
    return _photograph


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty PNG photographs of 120 x 96 pixels."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(20):
        Image.fromarray(_photograph(number)).save(folder / f"photo{number:02d}.png")
    return folder


@pytest.fixture(scope="session")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their segmentations, twelve squares each."""
    folder = tmp_path_factory.mktemp("regions")
    squares = (np.arange(96)[:, None] // 32 * 4 + np.arange(120) // 30 + 1).astype(np.uint8)
    for number in range(20):
        Image.fromarray(squares).save(folder / f"photo{number:02d}.png")
    return folder
