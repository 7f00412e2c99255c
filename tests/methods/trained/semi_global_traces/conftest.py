"""A tiny run of `sgt`, on splices and authentic images of noise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from splice_jax.training.loop import train


class Run(NamedTuple):
    """A run that was never interrupted."""

    workdir: Path
    state: Any


def _write(folder: Path, spliced: int, authentic: int) -> None:
    """Noise with a rectangle of stronger noise in it, every other one as JPEG."""
    for kind in ("images", "masks", "authentic"):
        (folder / kind).mkdir(parents=True)
    for number in range(spliced + authentic):
        random = np.random.default_rng([spliced, number])
        height, width = 110 + 8 * (number % 3), 130 + 16 * (number % 4)
        mask = np.zeros((height, width), bool)
        if number < spliced:
            mask[20:70, 16 * (number % 3) :][:, :60] = True
        image = random.normal(120, np.where(mask, 25, 5)[..., None], (height, width, 3)).clip(0, 255).astype(np.uint8)
        name = f"{number}.{'jpg' if number % 2 else 'png'}"
        Image.fromarray(image).save(folder / ("images" if number < spliced else "authentic") / name)
        if number < spliced:
            Image.fromarray(mask).convert("L").save(folder / "masks" / f"{number}.png")


@pytest.fixture(scope="session")
def noises(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `folder` data set: six spliced and three authentic images to train on."""
    folder = tmp_path_factory.mktemp("noises")
    for split, counts in {"train": (6, 3), "val": (1, 1), "test": (1, 0)}.items():
        _write(folder / split, *counts)
    return folder


@pytest.fixture(scope="session")
def small(tiny: Callable[..., ConfigDict], noises: Path) -> Callable[..., ConfigDict]:
    """The configuration of a tiny run, fields changed as the arguments say."""

    def configuration(**changes: Any) -> ConfigDict:
        fields = {"method": "sgt", "data_dir": str(noises), "trace_width": 8, "trace_depth": 16, "trace_layers": 1}
        fields |= {"crop_blocks": 16, "batch_size": 4, "optimizer": "adamw", "weight_decay": 1e-3, "ema_decay": 0.9}
        fields |= {"learning_rate": 1e-2, "validation_images": 1, "num_steps": 24, "log_every": 4}
        return tiny(**{**fields, "checkpoint_every": 8, "validate_every": 24, **changes})

    return configuration


@pytest.fixture(scope="session")
def run(small: Callable[..., ConfigDict], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Twenty-four steps on two devices. Not to be changed."""
    workdir = tmp_path_factory.mktemp("runs") / "sgt"
    return Run(workdir, train(small(), workdir))
