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
from splice_jax.runs.configuration import save_config

ROOT = Path(__file__).parents[2]

PROGRAM = """
import os, signal, sys, zlib
from pathlib import Path
import numpy as np
from ml_collections import ConfigDict
from splice_jax.evaluation.evaluate import evaluate
from splice_jax.methods import Found, Localizer, register
from splice_jax.runs.configuration import load_config

WORKDIR, LOG, DIES_AT = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

@register("counting")
class Counting(Localizer):
    name = "counting"
    def __call__(self, image):
        with LOG.open("a") as file:
            file.write(f"{zlib.crc32(image)}\\n")
        if len(LOG.read_text().splitlines()) == DIES_AT:
            os.kill(os.getpid(), signal.SIGKILL)
        probability = (image.mean(axis=-1) / 255).astype(np.float32)
        return Found(probability, probability >= 0.5)

if __name__ == "__main__":
    evaluate(load_config(WORKDIR / "given"), WORKDIR / "results")
"""


@pytest.fixture
def start(tiny: Callable[..., Any], tmp_path: Path) -> Callable[..., tuple[int, list[str]]]:
    """Evaluates in a process of its own, which kills itself where it localizes for the n-th time.

    Gives its exit code and what it localized.
    """
    (tmp_path / "program.py").write_text(PROGRAM)

    def run(*, dies_at: int = 0, **changes: Any) -> tuple[int, list[str]]:
        config = tiny(methods="counting", split="train", method="", crf={"backend": "none"}, **changes)
        save_config(config, tmp_path / "given")
        log = tmp_path / "log"
        log.write_text("")
        command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path), str(log), str(dies_at)]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode, log.read_text().splitlines()

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
