"""Rows of several runs in one evaluation."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from splice_jax.errors import UserError
from splice_jax.evaluation.evaluate import evaluate
from splice_jax.evaluation.runs import runs_by_row
from splice_jax.images import read_image, read_mask
from splice_jax.methods.family import Family
from splice_jax.methods.registry import family
from splice_jax.runs.checkpoints import BEST, Checkpoints
from splice_jax.runs.configuration import apply_overrides, load_config, save_config
from splice_jax.runs.load import load


def run_of(tiny: Callable[..., Any], workdir: Path, method: str, **fields: Any) -> Path:
    """A run of an untrained network."""
    config = tiny(method=method, **fields)
    save_config(config, workdir)
    rows: Family = family(method)
    Checkpoints(workdir, BEST).save(1, rows.initial_variables(rows.network(config), jax.random.key(0)), {})
    return workdir


@pytest.fixture
def trained(tiny: Callable[..., Any], tmp_path: Path) -> Callable[..., Path]:
    """Writes the configuration of a run."""

    def write(name: str, method: str, **fields: Any) -> Path:
        save_config(tiny(method=method, **fields), tmp_path / name)
        return tmp_path / name

    return write


def test_rows_of_two_trainings_belong_to_the_run_that_was_trained_as_them(tiny: Any, trained: Any) -> None:
    own, first, second, third = map(trained, "oabc", ("sgn", "mfcn", "mfcn_edge", "bappy"))
    config = tiny(method="sgn", patch_stride=32, orientations=8, runs=f"{first}, {third}")
    found = runs_by_row(config, own)
    assert {row: run.workdir.name for row, run in found.items()} == {
        "sgn": "o",
        "mfcn": "a",
        "mfcn_edge": "a",
        "bappy": "c",
    }
    grids = {row: (run.config.patch_stride, run.config.orientations) for row, run in found.items()}
    assert grids == {"sgn": (32, 8), "bappy": (32, 8), "mfcn": (64, 1), "mfcn_edge": (64, 1)}
    both = runs_by_row(tiny(runs=f"{first},{second}"), Path("no run"))
    assert {row: run.workdir.name for row, run in both.items()} == {"mfcn": "a", "mfcn_edge": "b"}
    config = tiny(method="mfcn", orientations=8, runs=str(third))
    grids = {row: run.config.orientations for row, run in runs_by_row(config, first).items()}
    assert grids == {"mfcn": 1, "mfcn_edge": 1, "bappy": 8}
    assert runs_by_row(tiny(method="mfcn", orientations=8), first)["mfcn"].config.orientations == 8  # to be refused


def test_mistakes_are_named(tiny: Any, trained: Any, tmp_path: Path) -> None:
    first, second = trained("c", "bappy"), trained("d", "bappy")
    with pytest.raises(UserError, match="--config.runs: .*nowhere: no such folder; name the folder of a run"):
        runs_by_row(tiny(runs=str(tmp_path / "nowhere")), tmp_path)
    with pytest.raises(UserError, match="--config.runs: .*c and .*d both hold the row 'bappy'"):
        runs_by_row(tiny(runs=f"{first},{second}"), tmp_path)
    with pytest.raises(UserError, match="--config.runs: .*c has bappy, which --config.methods does not name"):
        evaluate(tiny(runs=str(first), methods="noi1"), tmp_path)


def test_a_run_is_not_scored_on_another_seed_s_split_of_its_own_data(tiny: Any, trained: Any, tmp_path: Path) -> None:
    run = trained("a", "bappy", dataset="columbia", split_seed=1)
    for config, workdir in (
        (tiny(dataset="columbia", split_seed=0, runs=str(run)), tmp_path),
        (tiny(dataset="columbia", split_seed=0, method="bappy"), run),
    ):
        with pytest.raises(UserError, match=r"a: was trained with split_seed 1, .* set --config.split_seed=1"):
            runs_by_row(config, workdir)
    assert runs_by_row(tiny(dataset="columbia", split_seed=1, runs=str(run)), tmp_path)["bappy"].note() == (
        "hidden_size 64, num_layers 1, input_normalization residual, activation leaky_relu, block_order row, "
        "initialization looks_linear, border inward, in-domain"
    )
    assert "cross-data-set" in runs_by_row(tiny(dataset="carvalho", runs=str(run)), tmp_path)["bappy"].note()


PUBLISHED = dict(family("sgn").published)


def test_a_note_says_what_a_row_is_not_and_what_it_was_trained_on(tiny: Any, trained: Any) -> None:
    run, nowhere = trained("a", "mfcn", width=0.125), Path("no run")
    here, there = (runs_by_row(tiny(runs=str(run), **fields), nowhere) for fields in ({}, {"data_dir": "other"}))
    assert here["mfcn"].note() == "width 0.125, trunk_normalization imagenet, from scratch, in-domain"
    assert there["mfcn_edge"].note() == "width 0.125, trunk_normalization imagenet, from scratch, cross-data-set"
    run = trained("b", "sgn", **PUBLISHED, global_weights="resnet18.npz")
    assert runs_by_row(tiny(runs=str(run)), nowhere)["sgn"].note() == "in-domain"
    foreign = tiny(method="sgn", **PUBLISHED)
    foreign.imported = "model.pth"
    save_config(foreign, run)
    assert runs_by_row(tiny(runs=str(run)), nowhere)["sgn"].note() == ""


@pytest.fixture
def panes(tmp_path: Path) -> Path:
    """A `folder` data set of grey panes with soft borders, one of them pasted: edges of both kinds."""
    for kind in ("images", "masks"):
        (tmp_path / "panes" / "test" / kind).mkdir(parents=True)
    for seed in range(2):
        levels = np.random.default_rng(seed).uniform(30, 220, (4, 5))
        image = gaussian_filter(np.kron(levels, np.ones((40, 40))), 1.2)
        mask = np.zeros(image.shape, bool)
        mask[40:80, 80:120] = True
        Image.fromarray(np.repeat(image[..., None], 3, 2).astype(np.uint8)).save(
            tmp_path / f"panes/test/images/{seed}.png"
        )
        Image.fromarray(mask).convert("L").save(tmp_path / f"panes/test/masks/{seed}.png")
    return tmp_path / "panes"


def test_one_evaluation_holds_the_rows_of_all_runs(
    tiny: Any, tiny_run: Any, panes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workdir = shutil.copytree(tiny_run.workdir, tmp_path / "own")
    others = [
        run_of(tiny, tmp_path / "mfcn", "mfcn", width=0.0625, crop_size=32),
        run_of(tiny, tmp_path / "edges", "camera_response", data_dir=str(panes)),
    ]
    flags = [f"--config.runs={','.join(map(str, others))}", "--config.crf.backend=none", f"--config.data_dir={panes}"]
    evaluate(apply_overrides(load_config(workdir), flags), workdir)
    folder = workdir / "evaluation" / "folder-test"
    printed, scores = capsys.readouterr().out, json.loads((folder / "scores.json").read_text())
    rows = {row["method"]: row for row in scores["rows"]}
    assert {name: row["note"] for name, row in rows.items()} == {
        "sgn": f"{family('sgn').note(tiny_run.config)}, cross-data-set",
        "mfcn": "width 0.0625, trunk_normalization imagenet, from scratch, cross-data-set",
        "camera_response": "edges to region: ours, in-domain",
        "all_spliced": "",
        "random": "",
    }
    page = (folder / "report.html").read_text()
    for text in (printed, (folder / "tables.md").read_text(), page):
        assert "mfcn: width 0.0625, trunk_normalization imagenet, from scratch, cross-data-set" in text
    for text in (printed, (folder / "tables.md").read_text(), page):
        assert "camera_response: edge_auc 0." in text

    told = scores["runs"]
    assert {row: Path(run["workdir"]).name for row, run in told.items()} == {"mfcn": "mfcn", "camera_response": "edges"}
    assert told["mfcn"]["config"]["width"] == 0.0625 and len(told["mfcn"]["checkpoint"]) == 64

    localizer, auc = load(others[1]), {}
    for path in (panes / "test" / "images").iterdir():
        mask = read_mask((panes / "test" / "masks" / path.name).read_bytes(), name=path.name)
        auc[path.stem] = localizer(read_image(path)).further_scores(mask)["edge_auc"]
    beside = rows["camera_response"]["beside"]["edge_auc"]
    assert beside["images"] == 2 and beside["mean"] == pytest.approx(sum(auc.values()) / 2)
    with (folder / "per_image.csv").open(newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["edge_auc"]]
    assert {Path(line["image"]).stem: float(line["edge_auc"]) for line in lines} == pytest.approx(auc)

    before = (folder / "scores.json").read_bytes()
    again = apply_overrides(load_config(workdir), [*flags, "--config.rescore"])
    evaluate(again, workdir)
    assert (folder / "scores.json").read_bytes() == before
    shutil.rmtree(others[0] / "checkpoints")
    with pytest.raises(UserError, match=r"mfcn.json: stale maps, made from another checkpoint"):
        evaluate(again, workdir)
