"""A run that is asked to stop saves itself and goes on as if it had not been."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from splice_jax.errors import Terminated
from splice_jax.runs.checkpoints import LAST, Checkpoints
from splice_jax.training import loop
from splice_jax.training.loop import train

WHERE = {"between validations": ("step", 5), "before a validation": ("step", 4), "within one": ("validation", 4)}


@pytest.mark.parametrize(
    ("where", "asked"),
    [
        ("between validations", signal.SIGTERM),
        ("before a validation", signal.SIGINT),
        ("within one", signal.SIGTERM),
    ],
)
def test_asked_to_stop_a_run_is_saved_and_ends_as_if_it_had_not_been(
    tiny: Callable[..., ConfigDict],
    tiny_run: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    asked: signal.Signals,
) -> None:
    moment, number = WHERE[where]
    step, validate, taken = loop.ParallelStep.__call__, loop.validate, []

    def stepping(*arguments: Any) -> Any:
        taken.append(True)
        if (moment, number) == ("step", len(taken)):
            os.kill(os.getpid(), asked)
        return step(*arguments)

    def validating(*arguments: Any) -> Any:
        if moment == "validation":
            os.kill(os.getpid(), asked)
        return validate(*arguments)

    with monkeypatch.context() as patch, pytest.raises((Terminated, KeyboardInterrupt)) as ended:
        patch.setattr(loop.ParallelStep, "__call__", stepping)
        patch.setattr(loop, "validate", validating)
        train(tiny(), tmp_path)
    assert str(ended.value) == f"{tmp_path} is saved at step {number}; the same command goes on from there"
    assert Checkpoints(tmp_path, LAST).step == number
    state = train(tiny(), tmp_path)
    jax.tree.map(np.testing.assert_array_equal, state, tiny_run.state)
    lines = [(run / "metrics.jsonl").read_text().splitlines() for run in (tmp_path, tiny_run.workdir)]
    validations = [[line for line in of_run if "validation/" in line] for of_run in lines]
    assert validations[0] == validations[1] and len(validations[0]) == 2
