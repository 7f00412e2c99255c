"""A run is the same on 1 and 4 devices and in two processes with two each; more in `python -m benchmarks.hosts`.

One process with two devices is in the tests of each method's training.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from ml_collections import ConfigDict

from benchmarks import hosts
from splice_jax.training.loop import train
from tests.conftest import Run

METHODS = list(hosts.FIELDS)


def course(name: str, method: str, **options: object) -> hosts.Task:
    return "course", {"name": f"{method}.{name}", "method": method, "steps": 3, **options}


@pytest.fixture(scope="module")
def resumed(tiny: Callable[..., ConfigDict]) -> ConfigDict:
    """The tiny run, going on for two steps."""
    return tiny(num_steps=8, log_every=1)


class Place(NamedTuple):
    """Where all was done by processes of their own, and what the first of two printed."""

    folder: Path
    said: str


@pytest.fixture(scope="module")
def place(
    tiny: Callable[..., ConfigDict], tiny_run: Run, resumed: ConfigDict, tmp_path_factory: pytest.TempPathFactory
) -> Place:
    """Both are started at once: compiling takes nearly all of their time, most of it on one core."""
    folder = tmp_path_factory.mktemp("hosts")
    hosts.prepare(folder, tiny(learning_rate=1e-2, crf={"backend": "none"}), METHODS)
    hosts.configure(folder, "resumed", resumed)
    shutil.copytree(tiny_run.workdir, folder / "resumed")
    layouts = {"1": {"devices": 1}, "4": {}}
    four = [course(name, method, **options) for method in METHODS for name, options in layouts.items()]
    four.append(course("other seed", "mfcn", devices=1, seed=1))
    two = [course("2x2", method, kept=True) for method in METHODS]
    two += [("evaluate", {"name": "together", "methods": METHODS}), ("train", {"name": "resumed"})]
    said = hosts.finish([*hosts.start(hosts.Layout(2, 2), folder, two), *hosts.start(hosts.Layout(1, 4), folder, four)])
    return Place(folder, said)


@pytest.mark.parametrize("method", METHODS)
def test_training_does_not_depend_on_the_numbers_of_devices_and_processes(place: Place, method: str) -> None:
    one, four, both = (dict(np.load(place.folder / f"{method}.{name}.npz")) for name in ("1", "4", "2x2"))
    assert len([name for name in one if name.startswith("gradient")]) > 20
    for found in (four, both):
        difference = hosts.difference(found, one)
        assert difference.gradient < 1e-5 and difference.loss < 1e-5 and difference.parameter < 1e-5


def test_other_random_numbers_would_have_shown(place: Place) -> None:
    other, one = (dict(np.load(place.folder / f"mfcn.{name}.npz")) for name in ("other seed", "1"))
    difference = hosts.difference(other, one)
    assert difference.gradient > 0.1 and difference.loss > 5e-4


def test_two_processes_evaluate_unequal_shares_as_one_does(place: Place) -> None:
    assert all(count % 2 for count in hosts.IMAGES.values())
    assert place.said.count("report: ") == 1
    assert not list((place.folder / "evaluation" / "together" / "maps").glob("*.jsonl"))
    hosts.TASKS["evaluate"](place.folder, "alone", METHODS)
    together, alone = (hosts.scores(place.folder, name) for name in ("together", "alone"))
    assert together == alone and alone.keys() > set(METHODS)


def test_a_run_goes_on_in_two_processes_and_again_in_one(
    place: Place, resumed: ConfigDict, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "devices: 2 until now, 4 from here on" in place.said
    assert "processes: 1 until now, 2 from here on" in place.said
    assert place.said.count("step 8/8: loss") == 1
    run = place.folder / "resumed"
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps[-3:] == [7, 8, 8] and len(list((run / "tensorboard").iterdir())) == 2  # process 0 alone writes
    resumed = ConfigDict(resumed.to_dict())
    resumed.num_steps = 9
    assert train(resumed, run).step == 9
    told = capsys.readouterr().out
    assert "devices: 4 until now, 2 from here on" in told and "processes: 2 until now, 1 from here on" in told
