"""Two processes with two devices each train and evaluate as one with two does; more in `python -m benchmarks.hosts`."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict

from benchmarks import hosts
from splice_jax.evaluation.evaluate import evaluate
from splice_jax.training.loop import train


def test_several_processes_train_and_evaluate_as_one_does(
    tiny: Callable[..., ConfigDict], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny(num_steps=2, checkpoint_every=1, validate_every=2, methods="sgn", crf={"backend": "none"})
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config.to_dict()))
    said = hosts.run(hosts.Layout(2, 2), file, tmp_path, "gradients:1,train,evaluate:together")
    assert said.count("step 2/2: loss") == said.count("report: ") == 1
    found, expected = dict(np.load(tmp_path / "2x2.npz")), hosts.gradients(config)
    assert len(expected) > 20 and hosts.difference(found, expected) < 1e-5
    np.testing.assert_allclose(found["losses"], expected["losses"], rtol=1e-6)
    run = tmp_path / "run"
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 2] and len(list((run / "tensorboard").iterdir())) == 1  # process 0 alone writes
    assert not list((run / "evaluation" / "together" / "maps").glob("*.jsonl"))
    config.evaluation_name = "alone"
    evaluate(config, run)
    assert hosts.scores(run, "together") == hosts.scores(run, "alone")
    capsys.readouterr()
    config.num_steps = 3
    assert train(config, run).step == 3
    told = capsys.readouterr().out
    assert "devices: 4 until now, 2 from here on" in told and "processes: 2 until now, 1 from here on" in told
