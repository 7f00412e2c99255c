"""What makes a map stale, and the checkpoint of a run that is still trained."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import splice_jax
from splice_jax.errors import UserError
from splice_jax.evaluation.maps.degradations import parse
from splice_jax.evaluation.maps.make import Stage
from splice_jax.evaluation.maps.provenance import checkpoint_digest, differing_fields, made_from
from splice_jax.evaluation.runs import Run
from splice_jax.evaluation.selection import load_row
from splice_jax.runs.checkpoints import BEST, Checkpoints


def stale(tiny: Callable[..., Any], method: str, before: dict[str, Any], after: dict[str, Any], crf: str) -> list[str]:
    """What a change of fields makes the maps of a method stale by."""
    run = method == "sgn"
    sides = []
    for fields in (before, after):
        config = tiny(**fields)
        sides.append(made_from(method, crf, config, Run(Path(), config, config) if run else None))
    return differing_fields(sides[1], sides[0])


@pytest.mark.parametrize(
    ("method", "crf", "change", "expected"),
    [
        ("sgn", "none", {"seed": 1}, []),
        ("noi1", "none", {"seed": 1}, []),
        ("random", "none", {"seed": 1}, ["seed"]),
        ("sgn", "none", {"patch_stride": 32}, ["config.patch_stride"]),
        ("sgn", "none", {"crf": {"iterations": 9}}, []),
        ("sgn", "jax", {"crf": {"iterations": 9}}, ["crf.iterations"]),
        ("noi1", "jax", {"crf": {"iterations": 9}}, ["crf.iterations"]),
        ("sgn", "none", {"split": "val", "ignore_border": 3, "methods": "sgn"}, []),
    ],
)
def test_only_what_changes_a_map_makes_it_stale(
    tiny: Callable[..., Any], method: str, crf: str, change: dict[str, Any], expected: list[str]
) -> None:
    assert stale(tiny, method, {}, change, crf) == expected


@pytest.mark.parametrize(("degradation", "expected"), [("noise:5", ["seed"]), ("blur:1", []), ("jpeg:70", [])])
def test_of_degradations_only_noise_is_drawn(degradation: str, expected: list[str]) -> None:
    [parsed] = parse(degradation)
    first, second = (Stage("", [], [], Path(), parsed, seed).made_from({"method": "noi1"}) for seed in (0, 1))
    assert differing_fields(second, first) == expected


def test_the_digest_is_of_the_newest_checkpoint_and_not_of_one_that_is_written(tmp_path: Path) -> None:
    assert checkpoint_digest(tmp_path) == ""
    best = tmp_path / "checkpoints" / "best"
    for step in (9, 10):
        (best / str(step) / "state").mkdir(parents=True)
        (best / str(step) / "state" / "data").write_bytes(bytes([step]))
    both = checkpoint_digest(tmp_path)
    (best / "11.orbax-checkpoint-tmp-1").mkdir()
    (best / "11.orbax-checkpoint-tmp-1" / "data").write_bytes(b"half")
    assert checkpoint_digest(tmp_path) == both
    (best / "10" / "state" / "data").write_bytes(b"another")
    assert checkpoint_digest(tmp_path) != both


def test_files_may_vanish_while_they_are_digested(tmp_path: Path) -> None:
    """A thread replaces a checkpoint as fast as it can, as training does: whole before it appears."""
    best, stop = tmp_path / "checkpoints" / "best", threading.Event()

    def write(step: int) -> None:
        hidden = best / f"{step}.orbax-checkpoint-tmp-0"
        hidden.mkdir(parents=True)
        for part in range(3):
            (hidden / f"part{part}").write_bytes(b"same")
        hidden.rename(best / str(step))

    def train() -> None:
        step = 1
        while not stop.wait(0.02):
            write(step + 1)
            for path in (best / str(step)).iterdir():
                path.unlink()
            (best / str(step)).rmdir()
            step += 1

    write(1)
    thread = threading.Thread(target=train)
    thread.start()
    try:
        found = [checkpoint_digest(tmp_path) for _ in range(50)]
    finally:
        stop.set()
        thread.join()
    assert all(len(digest) == 64 for digest in found)


def test_a_checkpoint_that_is_replaced_while_it_is_loaded_is_loaded_again(
    tiny_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    import jax

    workdir = Path(shutil.copytree(tiny_run.workdir, tmp_path / "run"))
    run, load, loads = Run(workdir, tiny_run.config, tiny_run.config), splice_jax.load, []

    def improve() -> None:
        best = Checkpoints(workdir, BEST)
        variables = jax.tree.map(np.asarray, load(workdir).variables)
        best.save((best.step or 0) + 1, jax.tree.map(lambda leaf: leaf + 1, variables), {})

    def load_while_trained(*arguments: Any, **options: Any) -> Any:
        loaded = load(*arguments, **options)
        loads.append(loaded)
        if len(loads) <= replaced:
            improve()
        return loaded

    monkeypatch.setitem(vars(splice_jax), "load", load_while_trained)
    replaced = 1
    localizer, digest = load_row(run, "sgn")
    assert len(loads) == 2 and digest == checkpoint_digest(workdir)
    now = load(workdir).variables
    assert all(map(np.array_equal, *map(jax.tree.leaves, (localizer.variables, now))))
    replaced = 99
    with pytest.raises(UserError, match="a better checkpoint came each time that it was read"):
        load_row(run, "sgn")
