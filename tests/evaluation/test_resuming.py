"""An evaluation that is killed, and started again."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from splice_jax.evaluation.evaluate import evaluate
from splice_jax.methods import registry
from splice_jax.runs.configuration import save_config
from tests.evaluation.counting import evaluate_counting

ROOT = Path(__file__).parents[2]


@pytest.fixture
def start(tiny: Callable[..., Any], tmp_path: Path) -> Callable[..., tuple[int, list[str]]]:
    """Evaluates, in a process of its own if this is to kill itself where it localizes for the n-th time.

    Gives its exit code and what it localized.
    """

    def run(*, dies_at: int = 0, **changes: Any) -> tuple[int, list[str]]:
        save_config(
            tiny(methods="counting", split="train", method="", crf={"backend": "none"}, **changes), tmp_path / "given"
        )
        code = 0
        if dies_at:
            command = [sys.executable, "-m", "tests.evaluation.counting", str(tmp_path), str(dies_at)]
            code = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode
        else:
            evaluate_counting(tmp_path)
            del registry._known["counting"]
        return code, (tmp_path / "log").read_text().splitlines()

    return run


def test_an_evaluation_that_was_killed_makes_only_the_maps_that_are_missing(start: Any, tmp_path: Path) -> None:
    maps = tmp_path / "results/evaluation/folder-train/maps"
    code, first = start(dies_at=6)
    assert (code, len(first)) == (-signal.SIGKILL, 6)
    code, second = start()
    assert code == 0
    assert second[0] == first[5]  # where it was killed
    assert len(second) == 2 + 2 and not set(first[:5]) & set(second[:2])  # of seven images, and two of validation
    scores = json.loads((maps.parent / "scores.json").read_text())["rows"]
    shutil.rmtree(maps.parent)
    assert len(start()[1]) == 9
    again = json.loads((maps.parent / "scores.json").read_text())["rows"]
    assert [row["scores"] for row in again] == [row["scores"] for row in scores]
    (maps / "counting" / "3.png").unlink()
    (maps / "counting" / "4.png").write_bytes(b"damaged")
    assert len(start()[1]) == 2
    assert start(seed=5) == (0, [])  # another seed of the bootstrap


@pytest.mark.parametrize(
    ("change", "again"), [({}, 0), ({"seed": 4}, 0), ({"ignore_border": 1}, 0), ({"patch_stride": 32}, 4)]
)
def test_a_run_is_localized_again_only_where_its_maps_would_be_others(
    tiny_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], again: int
) -> None:
    from splice_jax.methods.trained.semi_global.localizer import PatchNetworkLocalizer

    calls = []
    localize = PatchNetworkLocalizer.__call__

    def counted(self: Any, image: Any) -> Any:
        calls.append(image)
        return localize(self, image)

    workdir = Path(shutil.copytree(tiny_run.workdir, tmp_path / "run"))
    monkeypatch.setattr(PatchNetworkLocalizer, "__call__", counted)
    config = tiny_run.config.copy_and_resolve_references()
    config.crf.backend = "none"
    evaluate(config, workdir)
    assert len(calls) == 4
    config.update(change)
    evaluate(config, workdir)
    assert len(calls) == 4 + again


def test_a_seed_below_0_is_one_clear_line(tiny_run: Any, entry: Callable[..., Any]) -> None:
    done = entry("evaluate", f"--workdir={tiny_run.workdir}", "--config.seed=-1")
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: config.seed: -1 is not from 0 to 4294967295\n"
