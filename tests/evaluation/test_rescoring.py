"""Evaluations of a real, tiny run: again, from cached maps, from stale ones."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from splice_jax import crf

ROOT = Path(__file__).parents[2]
FLAGS = ("--config.methods=sgn,random", "--config.degradations=resize:0.5", "--config.crf.backend=none")


@pytest.fixture(scope="module")
def evaluated(tiny_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny run, evaluated once by the command; not to be changed."""
    from splice_jax.evaluation.evaluate import evaluate
    from splice_jax.runs.builtin.default import get_config
    from splice_jax.runs.configuration import apply_overrides, load_config

    workdir = shutil.copytree(tiny_run.workdir, tmp_path_factory.mktemp("evaluated") / "run")
    assert set(load_config(workdir).to_dict()) == set(get_config().to_dict())
    evaluate(apply_overrides(load_config(workdir), FLAGS), workdir)
    return workdir


def files(workdir: Path) -> dict[str, bytes]:
    results = workdir / "evaluation" / "folder-test"
    return {str(path.relative_to(results)): path.read_bytes() for path in results.rglob("*") if path.is_file()}


def timeless(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: timeless(value) for key, value in content.items() if not key.startswith("seconds")}
    return [timeless(value) for value in content] if isinstance(content, list) else content


def test_rescoring_reproduces_every_file_without_loading_jax(evaluated: Path, tmp_path: Path) -> None:
    run = shutil.copytree(evaluated, tmp_path / "run")
    before = files(run)
    for name in ("scores.json", "per_image.csv", "report.html", "curves.json"):
        (run / "evaluation" / "folder-test" / name).unlink()
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print('jax loaded:', 'jax' in sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, str(ROOT / "evaluate.py"), f"--workdir={run}", "--config.rescore", *FLAGS]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "jax loaded: False"
    assert files(run) == before


def test_two_evaluations_are_equal_apart_from_times(evaluated: Path, tmp_path: Path, entry: Callable[..., Any]) -> None:
    run = shutil.copytree(evaluated, tmp_path / "run", ignore=shutil.ignore_patterns("evaluation"))
    assert entry("evaluate", f"--workdir={run}", *FLAGS).code == 0
    first, second = files(evaluated), files(run)
    assert first.keys() == second.keys()
    for name in first:
        if name.endswith(".json"):
            assert timeless(json.loads(first[name])) == timeless(json.loads(second[name]))
        elif not name.endswith((".csv", ".html")):
            assert first[name] == second[name], name
        elif name == "per_image.csv":
            lines = [[line.rpartition(",")[0] for line in each[name].decode().splitlines()] for each in (first, second)]
            assert lines[0] == lines[1]


@pytest.mark.usefixtures("without_pydensecrf")
def test_a_run_whose_crf_is_not_installed_is_refined_by_jax_and_scored_again_as_such(
    evaluated: Path,
    tmp_path: Path,
    entry: Callable[..., Any],
) -> None:
    run = shutil.copytree(evaluated, tmp_path / "run")
    flags = "--config.methods=sgn,sgn+crf", "--config.crf.iterations=2", "--config.crf.backend=pydensecrf"
    results = run / "evaluation/folder-test"
    for more in ((), ("--config.rescore",)):
        crf._say_once.cache_clear()
        done = entry("evaluate", f"--workdir={run}", *flags, *more)
        said = "crf.backend: pydensecrf is not installed, so jax refines the maps\n"
        assert (done.code, done.err) == (0, said)
        scores = json.loads((results / "scores.json").read_text())
        assert [row["crf"] for row in scores["rows"]] == ["none", "jax", "none", "none"]
        assert scores["config"]["crf"]["backend"] == "jax"
    assert json.loads((results / "maps/sgn+crf.json").read_text())["made_from"]["crf.backend"] == "jax"
    assert entry("evaluate", f"--workdir={run}", *flags, "--config.rescore", "--config.crf.backend=jax").code == 0
    for record in results.rglob("sgn+crf.json"):  # Scored again, what pydensecrf refined no longer needs it.
        record.write_text(record.read_text().replace('"crf.backend": "jax"', '"crf.backend": "pydensecrf"'))
    crf._say_once.cache_clear()
    done = entry("evaluate", f"--workdir={run}", *flags, "--config.rescore")
    assert (done.code, done.err) == (0, "")
    assert json.loads((results / "scores.json").read_text())["rows"][1]["crf"] == "pydensecrf"


def change_checkpoint(run: Path) -> None:
    next(path for path in (run / "checkpoints/best").rglob("*") if path.is_file()).write_bytes(b"another")


def remove_record(run: Path) -> None:
    (run / "evaluation/folder-test/maps/sgn.json").unlink()


def change_map(run: Path) -> None:
    maps = run / "evaluation/folder-test/maps/random"
    shutil.copy(maps / "0.png", maps / "1.png")


def remove_labels(run: Path) -> None:
    (run / "evaluation/folder-test/maps/sgn/0.labels.npy").unlink()


@pytest.mark.parametrize(
    ("damage", "flags", "words"),
    [
        (change_checkpoint, (), "maps/sgn.json: stale maps, made from another checkpoint;"),
        (None, ("--config.patch_stride=32",), "made from another config.patch_stride;"),
        (None, ("--config.seed=1",), "maps/random.json: stale maps, made from another seed;"),
        (None, ("--config.split=val",), "no complete maps of sgn there"),
        (None, ("--config.degradations=jpeg:90",), "no complete maps of sgn there"),
        (remove_record, (), "no complete maps of sgn there"),
        (change_map, (), "1.png: was changed after it was made"),
        (remove_labels, (), "0.labels.npy: cannot be read"),
    ],
)
def test_stale_maps_are_refused_in_one_line(
    evaluated: Path,
    tmp_path: Path,
    entry: Callable[..., Any],
    damage: Callable[[Path], None] | None,
    flags: tuple[str, ...],
    words: str,
) -> None:
    run = shutil.copytree(evaluated, tmp_path / "run")
    if damage is not None:
        damage(run)
    done = entry("evaluate", f"--workdir={run}", *FLAGS, "--config.rescore", *flags)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert done.err.count("\n") == 1
    assert "evaluate without --config.rescore" in done.err


def test_a_border_may_be_ignored_without_new_maps(evaluated: Path, tmp_path: Path, entry: Callable[..., Any]) -> None:
    run = shutil.copytree(evaluated, tmp_path / "run")
    done = entry("evaluate", f"--workdir={run}", *FLAGS, "--config.rescore", "--config.ignore_border=3")
    assert done.code == 0, done.err
    assert "without the pixels within 3 of a mask's boundary" in done.out


def test_a_run_from_before_these_fields_is_evaluated(
    evaluated: Path, tmp_path: Path, entry: Callable[..., Any]
) -> None:
    run = shutil.copytree(evaluated, tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    for field in ("degradations", "ignore_border", "rescore", "split_seed"):
        del config[field]
    (run / "config.json").write_text(json.dumps(config))
    assert entry("evaluate", f"--workdir={run}", *FLAGS, "--config.rescore").code == 0


def test_the_checkpoint_is_looked_for_where_training_leaves_it() -> None:
    from splice_jax.evaluation.maps.provenance import CHECKPOINT
    from splice_jax.runs.checkpoints import BEST

    assert Path("checkpoints", BEST) == CHECKPOINT
