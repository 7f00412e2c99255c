import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splice_jax import data
from splice_jax.crf import CrfParameters, refine
from splice_jax.errors import UserError
from splice_jax.evaluation import tune_crf
from splice_jax.evaluation.maps.cache import read_map
from splice_jax.evaluation.scores.image import score_image
from splice_jax.metrics import quantize
from splice_jax.runs.configuration import load_config, save_config


@pytest.fixture
def run(tiny_run: Any, tmp_path: Path) -> Path:
    workdir = shutil.copytree(tiny_run.workdir, tmp_path / "run")
    config = load_config(workdir)
    config.crf.iterations = 2
    save_config(config, workdir)
    return workdir


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The splits that are opened."""
    splits: list[str] = []
    open_split = data.open_split

    def record(dataset: str, data_dir: str, split: str, **options: Any) -> Sequence[Any]:
        splits.append(split)
        return open_split(dataset, data_dir, split, **options)

    monkeypatch.setattr(data, "open_split", record)
    return splits


def test_the_best_parameters_go_into_the_run_and_all_trials_into_a_record(run: Path, opened: list[str]) -> None:
    before = load_config(run)
    content = tune_crf.tune(run, trials=5, workers=0)
    after = load_config(run)
    assert set(opened) == {"val"}
    assert content == json.loads((run / "tune_crf.json").read_text())
    scores = [trial["f1_best"] for trial in content["trials"]]
    assert len(scores) == 6
    assert scores[content["best"]] == max(scores) >= scores[0]
    best = content["trials"][content["best"]]["parameters"]
    assert CrfParameters.from_config(after.crf) == CrfParameters(**best)
    assert content["trials"][0]["parameters"] == {k: v for k, v in before.crf.to_dict().items() if k != "backend"}
    after.crf = before.crf
    assert after.to_dict() == before.to_dict()
    assert f"best         {max(scores):.4f}" in tune_crf.text(content)


def test_a_trial_is_the_mean_over_images_of_what_the_crf_makes_of_the_cached_maps(run: Path) -> None:
    content = tune_crf.tune(run, trials=1, workers=0, threshold="0.5", score="mcc")
    config = load_config(run)
    trial, values = content["trials"][1], []
    for example in data.open_split(config.dataset, config.data_dir, "val"):
        levels = read_map(run / "evaluation/tune-crf/maps/sgn" / f"{example.name}.png")
        probability = (levels / np.float32(65535)).astype(np.float32)
        refined = refine("jax", example.image, probability, CrfParameters(**trial["parameters"]))
        values.append(score_image(quantize(refined), example.mask).at["0.5"].mcc)
    assert trial["mcc_at_0.5"] == pytest.approx(np.mean(values))


def test_maps_are_made_once_and_processes_change_nothing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tune_crf.tune(run, trials=5, workers=0)
    save = load_config(run)
    save.crf.update(first["trials"][0]["parameters"])
    save_config(save, run)
    monkeypatch.setattr(tune_crf, "make_maps", None)
    assert tune_crf.tune(run, trials=5, workers=2) == first


def test_a_grid_and_a_part_of_the_images(run: Path) -> None:
    content = tune_crf.tune(run, search="grid", images=1, workers=0)
    assert len(content["images"]) == 1
    assert len(list((run / "evaluation/tune-crf/maps/sgn").glob("*.png"))) == 1
    assert len(content["trials"]) == 1 + 3 * 2 * 3 * 2 * 2 * 2


def test_mistakes_are_named(run: Path, tmp_path: Path) -> None:
    config = load_config(run)
    config.crf.backend = "none"
    save_config(config, run)
    with pytest.raises(UserError, match="its crf.backend is none"):
        tune_crf.tune(run)
    config.crf.backend = "jax"
    save_config(config, run)
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(UserError, match="holds no trained network yet"):
        tune_crf.tune(run)
    assert not (run / "tune_crf.json").exists()
