"""A run that was trained on DIR/{images,masks} is scored there on images that it has not seen."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from splice_jax.data import open_split
from splice_jax.errors import UserError
from splice_jax.evaluation.evaluate import evaluate
from splice_jax.runs.configuration import apply_overrides
from splice_jax.training.loop import train

NUMBER = 12


def write(folder: Path, number: int, content: int) -> None:
    image = np.random.default_rng(content).integers(0, 256, (64, 96, 3), np.uint8)
    mask = np.zeros((64, 96), np.uint8)
    mask[:50, 10:90] = 255
    Image.fromarray(image).save(folder / "images" / f"{number:02}.png")
    Image.fromarray(mask).save(folder / "masks" / f"{number:02}.png")


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images, the last one the same as the first."""
    folder = tmp_path_factory.mktemp("flat")
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for number in range(NUMBER):
        write(folder, number, number % (NUMBER - 1))
    return folder


@pytest.fixture(scope="module")
def run(flat: Path, tiny: Callable[..., ConfigDict], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    workdir = tmp_path_factory.mktemp("runs") / "flat"
    config = tiny(data_dir=str(flat), num_steps=1, split_seed=3)
    train(config, workdir)
    return workdir, config


def names(folder: Path, split: str, **options: Any) -> list[str]:
    return [example.name for example in open_split("folder", str(folder), split, **options)]


def test_a_flat_folder_is_all_test_unless_it_is_to_be_divided(flat: Path) -> None:
    everything = [f"{number:02}" for number in range(NUMBER)]
    assert names(flat, "test") == everything
    with pytest.raises(UserError, match="has no 'train'; it has test"):
        names(flat, "train")
    for seed in range(4):
        parts = [names(flat, split, split_seed=seed, divide_flat=True) for split in ("train", "val", "test")]
        assert all(parts) and sorted(sum(parts, [])) == everything
        assert any({"00", f"{NUMBER - 1:02}"} <= set(part) for part in parts)  # copies stay together


def test_such_a_run_is_scored_on_its_own_test_part(
    flat: Path, run: tuple[Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    workdir, config = run
    evaluate(config, workdir)
    told = f"{flat}: {workdir} was trained on a part of it; scored is its test part, split_seed 3\n"
    assert told in capsys.readouterr().out
    with (workdir / "evaluation/folder-test/per_image.csv").open(newline="") as file:
        scored = {Path(line["image"]).stem for line in csv.DictReader(file)}
    assert scored == set(names(flat, "test", split_seed=3, divide_flat=True))
    assert not scored & set(names(flat, "train", split_seed=3, divide_flat=True))


def test_another_seed_is_refused_where_it_would_score_training_images(run: tuple[Path, Any]) -> None:
    workdir, config = run
    with pytest.raises(UserError, match=r"was trained with split_seed 3, .*set --config\.split_seed=3"):
        evaluate(apply_overrides(config, ["--config.split_seed=0"]), workdir)


def test_images_that_were_added_since_are_refused(flat: Path, tiny: Callable[..., ConfigDict], tmp_path: Path) -> None:
    folder, workdir = Path(shutil.copytree(flat, tmp_path / "flat")), tmp_path / "run"
    config = tiny(data_dir=str(folder), num_steps=1)
    train(config, workdir)
    write(folder, NUMBER, 100)
    for again in (lambda: evaluate(config, workdir), lambda: train(config, workdir)):
        with pytest.raises(UserError, match="run: was trained on another split of these images than is drawn now"):
            again()


def test_a_name_that_two_images_have_cannot_be_split(flat: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(flat, tmp_path / "flat"))
    (folder / "authentic").mkdir()
    Image.fromarray(np.random.default_rng(50).integers(0, 256, (64, 96, 3), np.uint8)).save(folder / "authentic/03.png")
    assert len(names(folder, "test", include_authentic=True)) == NUMBER + 1
    with pytest.raises(UserError, match="03: the name of two images"):
        names(folder, "train", divide_flat=True)
