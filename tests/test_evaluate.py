import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from splice_jax.methods import names
from splice_jax.runs.builtin import rivals
from splice_jax.runs.builtin.default import get_config

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(ROOT / "evaluate.py"), *arguments], capture_output=True, text=True)


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    config = {
        "dataset": "folder",
        "data_dir": str(tmp_path / "images"),
        "split": "test",
        "method": "sgn",
        "methods": "",
        "evaluation_name": "",
        "seed": 0,
        "crf": {"backend": "none"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--workdir: say which run to evaluate"),
        (["--workdir=DIR/missing"], "DIR/missing: no such folder"),
        (["--workdir=DIR/empty"], "no config.json"),
        (["--workdir=DIR", "--config=configs/default.py"], "--config: the run's own config.json is used"),
        (["--workdir=DIR", "--config.sed=1"], "--config.sed: no such field; did you mean --config.seed?"),
        (["--workdir=DIR", "--config.seed=x"], "--config.seed=x: expected a whole number"),
        (["--workdir=DIR", "--wrkdir=x"], "wrkdir"),
        (["--workdir=DIR", "extra"], "extra: not understood"),
        (["--workdir=DIR", "--config.methods=sgm"], "no row is called 'sgm'; there are "),
        (["--workdir=DIR", "--config.degradations=blur:x"], "config.degradations: blur:x is not a number"),
        (["--workdir=DIR", "--config.ignore_border=-1"], "config.ignore_border: -1 is less than 0"),
        (["--workdir=DIR", "--config.methods=sgn+crf"], "add --config.crf.backend=jax"),
        (["--workdir=DIR", "--config.crf.backend=dense"], "choose from none, jax, pydensecrf"),
        (["--workdir=DIR", "--config.data_dir=DIR/nothing", "--config.methods=random"], "DIR/nothing: no such folder"),
    ],
)
def test_mistakes_end_in_one_line_and_exit_code_2(workdir: Path, arguments: list[str], message: str) -> None:
    (workdir / "empty").mkdir()
    done = run(*(argument.replace("DIR", str(workdir)) for argument in arguments))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert message.replace("DIR", str(workdir)) in done.stderr
    assert not (workdir / "evaluation").exists()


def test_an_unfinished_run_is_named(workdir: Path) -> None:
    config = get_config().to_dict() | json.loads((workdir / "config.json").read_text())
    (workdir / "config.json").write_text(json.dumps(config))
    done = run(f"--workdir={workdir}")
    assert done.returncode == 2
    assert f"{workdir}: holds no trained network yet" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (workdir / "evaluation").exists()


def test_a_trained_run_is_scored_on_its_test_split(entry: Callable[..., Any], tiny_run: Any, tmp_path: Path) -> None:
    run = shutil.copytree(tiny_run.workdir, tmp_path / "run")
    done = entry("evaluate", f"--workdir={run}", "--config.crf.backend=none")
    assert done.code == 0, done.err
    results = run / "evaluation" / "folder-test"
    assert done.out.rstrip().endswith(f"report: {results / 'report.html'}")
    scores = json.loads((results / "scores.json").read_text())
    assert (scores["images"], scores["dataset"], scores["split"]) == (2, "folder", "test")
    assert [row["method"] for row in scores["rows"]] == ["sgn", "all_spliced", "random"]
    assert 0 <= scores["rows"][0]["patch_accuracy"]["classification"] <= 1
    assert {path.name for path in (results / "maps" / "sgn").glob("*.png")} == {"0.png", "1.png"}
    assert scores["validation"] == {"split": "val", "images": 2}
    assert {path.name for path in (results / "validation" / "maps" / "sgn").glob("*.png")} == {"0.png", "1.png"}


def test_rows_that_need_no_run_are_scored_without_one(entry: Callable[..., Any], splices: Path, tmp_path: Path) -> None:
    workdir, file = tmp_path / "rivals", ROOT / "configs" / "rivals.py"
    rows = "--config.methods=noi1,cfa1", "--config.dataset=folder", f"--config.data_dir={splices}"
    done = entry("evaluate", f"--workdir={workdir}", f"--config={file}", *rows)
    assert done.code == 0, done.err
    scores = json.loads((workdir / "evaluation" / "folder-test" / "scores.json").read_text())
    assert [row["method"] for row in scores["rows"]] == ["noi1", "cfa1", "all_spliced", "random"]
    assert not (workdir / "config.json").exists()
    done = entry("evaluate", f"--workdir={workdir}", f"--config={file}", *rows[1:], "--config.methods=sgn")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "--config.methods: 'sgn' is a trained row; name its run by --config.runs" in done.err


def test_every_row_that_needs_no_run_stands_in_the_rivals_configuration() -> None:
    assert set(rivals.get_config().methods.split(",")) == set(names()) - {"all_spliced", "random"}


def test_a_run_that_cannot_be_written_to(
    entry: Callable[..., Any], tiny_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(tiny_run.workdir, tmp_path / "run")
    # Permissions do not bind root, who runs many a test.
    monkeypatch.setattr("os.access", lambda *_: False)
    done = entry("evaluate", f"--workdir={run}", "--config.methods=random")
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[-1].startswith(f"error: {run / 'evaluation'}")
    assert "no folder that can be written to (permission denied)" in done.err
