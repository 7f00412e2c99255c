import dataclasses
import functools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from splice_jax.errors import UserError
from splice_jax.methods.trained.semi_global import training as semi_global_training
from splice_jax.runs.checkpoints import BEST, LAST, Checkpoints
from splice_jax.training import loop
from splice_jax.training.loop import train
from splice_jax.training.monitor import Monitor
from splice_jax.training.step import ParallelStep, State
from tests.killing import Killed

Configure = Callable[..., ConfigDict]


def metrics(workdir: Path) -> list[dict[str, Any]]:
    """All lines, without what depends on the time."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "patches_per_second"} for line in lines]


def assert_identical(found: Any, expected: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_a_run_killed_twice_ends_as_the_one_that_was_not(
    tiny: Configure, tiny_run: Any, tmp_path: Path, kill: Callable[[str, int], None]
) -> None:
    kill("step", 4)
    with pytest.raises(Killed):
        train(tiny(), tmp_path)
    assert Checkpoints(tmp_path, LAST).step == 3 and Checkpoints(tmp_path, BEST).step is None
    kill("last", 4)  # its best checkpoint is of step 4 already
    with pytest.raises(Killed):
        train(tiny(), tmp_path)
    assert (Checkpoints(tmp_path, LAST).step, Checkpoints(tmp_path, BEST).step) == (3, 4)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "loss/tot')
    assert_identical(train(tiny(), tmp_path), tiny_run.state)
    assert metrics(tmp_path) == metrics(tiny_run.workdir)
    for kind, like in ((LAST, tiny_run.state), (BEST, tiny_run.state.variables)):
        resumed, straight = (Checkpoints(workdir, kind) for workdir in (tmp_path, tiny_run.workdir))
        assert resumed.step == straight.step
        assert_identical(resumed.restore(like), straight.restore(like))


def test_a_table_that_lies_on_the_devices_trains_the_same_network(
    tiny: Configure, tiny_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(semi_global_training, "on_cpu", lambda: False)
    seen: list[dict[str, Any]] = []
    step = loop.ParallelStep.__call__

    def stepping(self: ParallelStep, state: Any, batch: dict[str, Any]) -> Any:
        seen.append(batch)
        return step(self, state, batch)

    monkeypatch.setattr(loop.ParallelStep, "__call__", stepping)
    close = functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-4)  # A step moves a weight by up to 1e-3.
    jax.tree.map(close, train(tiny(), tmp_path / "resident").params, tiny_run.state.params)
    assert [set(batch) for batch in seen] == 6 * [{"rows", "images"}]
    seen.clear()
    with pytest.raises(UserError, match=r"config\.resident_gigabytes: -1\.0 is less than 0"):
        train(tiny(resident_gigabytes=-1.0), tmp_path / "negative")
    train(tiny(resident_gigabytes=0.0, num_steps=1), tmp_path / "host")
    assert [set(batch) >= {"patches", "masks"} for batch in seen] == [True]
    assert train(tiny(num_steps=1), tmp_path / "host").step == 1  # may be opened with the table elsewhere


def test_a_run_goes_on_with_its_table_on_the_devices(
    tiny: Configure,
    tiny_run: Any,
    tmp_path: Path,
    kill: Callable[[str, int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(semi_global_training, "on_cpu", lambda: False)
    kill("step", 4)
    with pytest.raises(Killed):
        train(tiny(resident_gigabytes=0.0), tmp_path)
    assert Checkpoints(tmp_path, LAST).step == 3
    state = train(tiny(), tmp_path)
    assert state.step == 6
    close = functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-4)  # A step moves a weight by up to 1e-3.
    jax.tree.map(close, state.params, tiny_run.state.params)


def test_a_run_that_was_not_interrupted(tiny_run: Any) -> None:
    lines = metrics(tiny_run.workdir)
    assert [line["step"] for line in lines] == [2, 3, 4, 4, 6, 6]
    assert [line["step"] for line in lines if "validation/mcc_best" in line] == [4, 6]
    for line in lines:
        assert all(math.isfinite(value) for value in line.values())
    training = [line for line in lines if "loss/total" in line]
    terms = ("total", "classification", "segmentation", "smooth")
    names = {f"loss/{term}" for term in terms} | {f"norm/{of}" for of in ("gradient", "parameter", "update")}
    assert set(training[0]) == names | {"step", "learning_rate", "bottleneck/active", "bottleneck/dead_patches"}
    assert [line["learning_rate"] for line in training] == pytest.approx([1e-3] * 4)
    best = max((line for line in lines if "validation/mcc_best" in line), key=lambda line: line["validation/mcc_best"])
    assert Checkpoints(tiny_run.workdir, BEST).step == best["step"]
    assert_identical(Checkpoints(tiny_run.workdir, LAST).restore(tiny_run.state)[0], tiny_run.state)
    assert tiny_run.state.step == 6


class Adding:
    """In the place of a training step: adds to all parameters a number that follows from the batch and the step."""

    total = 2

    def __init__(self, recipe: Any, resident: Any) -> None:
        pass

    def replicate(self, state: State) -> State:
        return state

    def unreplicate(self, state: State) -> State:
        return jax.tree.map(np.array, state)

    def __call__(self, state: State, batch: dict[str, np.ndarray]) -> tuple[State, dict[str, np.ndarray]]:
        number = np.float32(batch["patches"].mean() * (1 + state.step))
        params = jax.tree.map(lambda leaf: np.asarray(leaf) + number, state.params)
        scalars = {name: np.array([number]) for name in ("loss/total", "norm/parameter")}
        return dataclasses.replace(state, step=state.step + np.int32(1), params=params), scalars


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> dict[int, float]:
    """Trains by `Adding`; validation says what stands here for a step, by default what its parameters say."""
    table: dict[int, float] = {}

    def validate(localizer: Any, examples: Any, stop: Any) -> tuple[dict[str, float], np.ndarray]:
        bias = float(localizer.variables["params"]["label_head"]["bias"][0])
        step = number.pop()
        return {"validation/mcc_best": table.get(step, math.sin(bias))}, np.zeros((2, 2, 3), np.uint8)

    number: list[int] = []
    scalars = Monitor.scalars

    def remember(self: Monitor, step: int, values: Any) -> None:
        number[:] = [step]
        scalars(self, step, values)

    monkeypatch.setattr(loop, "ParallelStep", Adding)
    monkeypatch.setattr(loop, "validate", validate)
    monkeypatch.setattr(Monitor, "scalars", remember)
    return table


def test_killed_at_any_point_a_run_ends_as_if_it_had_not_been(
    tiny: Configure, tmp_path: Path, scores: dict[int, float], kill: Callable[[str, int], None]
) -> None:
    straight = train(tiny(), tmp_path / "straight")
    assert straight.step == 6
    moments = [("step", 1), ("step", 3), ("last", 3), ("step", 4), ("best", 4), ("last", 4), ("step", 2), ("last", 6)]
    for moment in moments:
        kill(*moment)
        with pytest.raises(Killed):
            train(tiny(), tmp_path / "killed")
    assert_identical(train(tiny(), tmp_path / "killed"), straight)
    assert metrics(tmp_path / "killed") == metrics(tmp_path / "straight")
    assert_identical(train(tiny(), tmp_path / "killed"), straight)
    assert metrics(tmp_path / "killed") == metrics(tmp_path / "straight")


def test_the_best_of_the_validations_is_kept_across_a_restart(
    tiny: Configure, tmp_path: Path, scores: dict[int, float], kill: Callable[[str, int], None]
) -> None:
    scores.update({1: 0.1, 2: 0.7, 3: 0.6, 4: 0.7, 5: 0.65, 6: 0.2})
    kill("step", 4)
    with pytest.raises(Killed):
        train(tiny(validate_every=1), tmp_path)
    state = train(tiny(validate_every=1), tmp_path)
    best = Checkpoints(tmp_path, BEST)
    assert best.step == 2 and best.restore(state.variables)[1] == {"validation/mcc_best": 0.7}
    assert Checkpoints(tmp_path, LAST).restore(state)[1]["best_score"] == 0.7


def test_a_finished_run_is_extended_and_ends_as_the_one_that_was_longer_from_the_start(
    tiny: Configure, tmp_path: Path, scores: dict[int, float], capsys: pytest.CaptureFixture[str]
) -> None:
    every = {"num_steps": 10, "validate_every": 3, "log_every": 1, "checkpoint_every": 5}
    straight = train(tiny(**every), tmp_path / "straight")
    train(tiny(), tmp_path / "extended")
    assert_identical(train(tiny(**every), tmp_path / "extended"), straight)
    assert [line["step"] for line in metrics(tmp_path / "extended")] == [2, 3, 4, 4, 6, 6, 7, 8, 9, 9, 10, 10]
    assert "cosine" not in capsys.readouterr().out
    before = (tmp_path / "extended" / "config.json").read_bytes()
    with pytest.raises(UserError, match=r"^config.num_steps: .* end at step 9, but .*extended is at step 10$"):
        train(tiny(**every | {"num_steps": 9}), tmp_path / "extended")
    assert (tmp_path / "extended" / "config.json").read_bytes() == before


def test_a_longer_cosine_is_told(
    tiny: Configure, tmp_path: Path, scores: dict[int, float], capsys: pytest.CaptureFixture[str]
) -> None:
    def told(steps: int) -> list[str]:
        capsys.readouterr()
        train(tiny(schedule="cosine", num_steps=steps, log_every=1), tmp_path)
        return [line for line in capsys.readouterr().out.splitlines() if line.startswith("num_steps")]

    assert told(12) == told(12) == []
    what = "the learning rate follows the longer cosine, at step 13 it is 0.0005 instead of 0"
    assert told(24) == [f"num_steps: 12 until now, 24 from here on; {what}"]
    (rate,) = [line["learning_rate"] for line in metrics(tmp_path) if line["step"] == 13 and "learning_rate" in line]
    assert rate == pytest.approx(5e-4)  # half of a cosine's way


@pytest.mark.parametrize("recorded", [4, 2, None])
def test_another_number_of_devices_is_told(
    tiny: Configure,
    tmp_path: Path,
    scores: dict[int, float],
    kill: Callable[[str, int], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    recorded: int | None,
) -> None:
    """None: a checkpoint of version 0.1, which does not say."""
    save = Checkpoints.save

    def saving(self: Checkpoints, number: int, tree: Any, record: dict[str, Any]) -> None:
        assert "devices" not in record or record["devices"] == Adding.total
        kept = {name: value for name, value in record.items() if name != "devices"}
        save(self, number, tree, kept if recorded is None or "devices" not in record else kept | {"devices": recorded})

    straight = train(tiny(), tmp_path / "straight")
    kill("step", 4)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Checkpoints, "save", saving)
        train(tiny(), tmp_path / "run")
    _, record = Checkpoints(tmp_path / "run", LAST).restore(straight)
    assert record.get("devices") == recorded
    capsys.readouterr()
    assert_identical(train(tiny(), tmp_path / "run"), straight)
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("devices: ")]
    expected = ["devices: 4 until now, 2 from here on; rounding differs from here on"] if recorded == 4 else []
    assert told == expected
    assert Checkpoints(tmp_path / "run", LAST).restore(straight)[1]["devices"] == 2


def test_an_epoch_is_as_many_steps_as_batches_fit_into_the_data(
    tiny: Configure, tmp_path: Path, scores: dict[int, float]
) -> None:
    # 25 patches of 7 images are 13 groups of 2: three batches of four groups.
    assert train(tiny(num_steps=0, num_epochs=2), tmp_path / "epochs").step == 6
    by_steps = train(tiny(), tmp_path / "steps")
    assert_identical(train(tiny(num_steps=0, num_epochs=2), tmp_path / "epochs").params, by_steps.params)


@pytest.mark.parametrize(
    ("changes", "rates"),
    [
        ({"drop_epochs": (1,), "drop_factor": 0.5}, [1e-3, 1e-3, 5e-4, 5e-4]),
        ({"schedule": "cosine"}, [math.cos(math.pi * step / 12) ** 2 * 1e-3 for step in (1, 2, 3, 5)]),
        ({"warmup_steps": 4}, [5e-4, 7.5e-4, 1e-3, 1e-3]),
    ],
)
def test_the_learning_rate_of_each_logged_step(
    tiny: Configure, tmp_path: Path, scores: dict[int, float], changes: dict[str, Any], rates: list[float]
) -> None:
    train(tiny(**changes), tmp_path)
    found = [line["learning_rate"] for line in metrics(tmp_path) if "learning_rate" in line]
    assert found == pytest.approx(rates, rel=1e-4)


def test_a_loss_that_is_not_finite_stops_the_run_at_its_step_and_leaves_the_checkpoint(
    tiny: Configure, tmp_path: Path
) -> None:
    config = tiny(drop_epochs=(1,), drop_factor=1e33)  # from step 4 on, the learning rate is 1e30
    message = r"^step 4: .* is (inf|nan); the run stops with its last checkpoint, lower learning_rate or set clip_norm$"
    with pytest.raises(UserError, match=message):
        train(config, tmp_path)
    assert Checkpoints(tmp_path, LAST).step == 3
    assert [line["step"] for line in metrics(tmp_path)] == [2, 3]


def test_the_first_of_several_bad_steps_is_named(
    tiny: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scores: dict[int, float]
) -> None:
    def bad(self: Adding, state: State, batch: Any) -> tuple[State, dict[str, np.ndarray]]:
        loss = math.nan if state.step >= 1 else 1.0
        scalars = {"loss/total": np.array([loss]), "norm/parameter": np.array([1.0])}
        return dataclasses.replace(state, step=state.step + 1), scalars

    monkeypatch.setattr(Adding, "__call__", bad)
    with pytest.raises(UserError, match="^step 2: loss/total is nan"):
        train(tiny(log_every=3), tmp_path)
    assert Checkpoints(tmp_path, LAST).step is None
