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

from splice_jax.checkpoints import BEST, Checkpoints
from splice_jax.configuration import apply_overrides, load_config, save_config
from splice_jax.errors import UserError
from splice_jax.evaluation.runner import evaluate
from splice_jax.evaluation.trained import Run, runs_by_row
from splice_jax.images import read_image, read_mask
from splice_jax.localizers.family import Family, family
from splice_jax.localizers.runs import load


def run_of(tiny: Callable[..., Any], workdir: Path, method: str, **fields: Any) -> Path:
    """A run of an untrained network."""
    config = tiny(method=method, **fields)
    save_config(config, workdir)
    rows: Family = family(method)
    Checkpoints(workdir, BEST).save(1, rows.initial_variables(rows.network(config), jax.random.key(0)), {})
    return workdir


def test_rows_of_two_trainings_belong_to_the_run_that_was_trained_as_them(tiny: Any, tmp_path: Path) -> None:
    for name, method in (("a", "mfcn"), ("b", "mfcn_edge"), ("c", "bappy"), ("d", "bappy")):
        save_config(tiny(method=method), tmp_path / name)
    own = tiny(method="sgn", patch_stride=32, orientations=8, runs=f"{tmp_path / 'a'}, {tmp_path / 'c'}")
    found = runs_by_row(own, tmp_path)
    assert {row: run.workdir.name for row, run in found.items() if row != "sgn"} == {
        "mfcn": "a",
        "mfcn_edge": "a",
        "bappy": "c",
    }
    assert found["sgn"] == Run(tmp_path, own)
    grids = {row: (run.config.patch_stride, run.config.orientations) for row, run in found.items()}
    assert grids == {"sgn": (32, 8), "bappy": (32, 8), "mfcn": (64, 1), "mfcn_edge": (64, 1)}
    both = runs_by_row(tiny(method="", runs=f"{tmp_path / 'a'},{tmp_path / 'b'}"), tmp_path)
    assert {row: run.workdir.name for row, run in both.items()} == {"mfcn": "a", "mfcn_edge": "b"}


def test_mistakes_are_named(tiny: Any, tmp_path: Path) -> None:
    for name in "cd":
        save_config(tiny(method="bappy"), tmp_path / name)
    with pytest.raises(UserError, match="--config.runs: .*nowhere: no such folder"):
        runs_by_row(tiny(runs=str(tmp_path / "nowhere")), tmp_path)
    with pytest.raises(UserError, match="--config.runs: .*c and .*d both hold the row 'bappy'"):
        runs_by_row(tiny(runs=f"{tmp_path / 'c'},{tmp_path / 'd'}"), tmp_path)


def test_a_note_says_what_a_row_is_not_and_what_it_was_trained_on(tiny: Any, tmp_path: Path) -> None:
    save_config(tiny(method="mfcn", width=0.125), tmp_path / "a")
    here, there = tiny(method="", runs=str(tmp_path / "a")), tiny(method="", runs=str(tmp_path / "a"), data_dir="other")
    assert runs_by_row(here, tmp_path)["mfcn"].note() == "width 0.125, from scratch, in-domain"
    assert runs_by_row(there, tmp_path)["mfcn_edge"].note() == "width 0.125, from scratch, cross-data-set"
    foreign = tiny(method="sgn")
    foreign.imported = "model.pth"
    save_config(foreign, tmp_path / "b")
    assert runs_by_row(tiny(method="", runs=str(tmp_path / "b")), tmp_path)["sgn"].note() == ""


@pytest.fixture
def panes(tmp_path: Path) -> Path:
    """A `folder` data set of grey panes with soft borders, one of them pasted: edges of both kinds."""
    for kind in ("images", "masks"):
        (tmp_path / "panes" / kind).mkdir(parents=True)
    for seed in range(2):
        levels = np.random.default_rng(seed).uniform(30, 220, (4, 5))
        image = gaussian_filter(np.kron(levels, np.ones((40, 40))), 1.2)
        mask = np.zeros(image.shape, bool)
        mask[40:80, 80:120] = True
        Image.fromarray(np.repeat(image[..., None], 3, 2).astype(np.uint8)).save(tmp_path / f"panes/images/{seed}.png")
        Image.fromarray(mask).convert("L").save(tmp_path / f"panes/masks/{seed}.png")
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
        "sgn": "cross-data-set",
        "mfcn": "width 0.0625, from scratch, cross-data-set",
        "camera_response": "edges to region: ours, in-domain",
        "all_spliced": "",
        "random": "",
    }
    page = (folder / "report.html").read_text()
    assert "mfcn <small>width 0.0625, from scratch, cross-data-set</small></th>" in page
    for text in (printed, (folder / "tables.md").read_text()):
        assert "mfcn (width 0.0625, from scratch, cross-data-set)" in text
    for text in (printed, (folder / "tables.md").read_text(), page):
        assert "camera_response (edges to region: ours, in-domain): edge_auc 0." in text

    localizer, auc = load(others[1]), {}
    for path in (panes / "images").iterdir():
        mask = read_mask((panes / "masks" / path.name).read_bytes(), name=path.name)
        auc[path.stem] = localizer(read_image(path)).scores(mask)["edge_auc"]
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
