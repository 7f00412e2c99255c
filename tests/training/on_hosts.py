"""One of several processes that take a step together, train a run and evaluate it; see test_hosts.py.

    python on_hosts.py CONFIG.json FOLDER PORT PROCESS PROCESSES

Process 0 writes FOLDER/PROCESSES.npz, the gradients of a first step and its loss; without a PORT there is one process.
"""

import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from splice_jax import errors, hosts
from splice_jax.data import open_split
from splice_jax.evaluation.evaluate import evaluate
from splice_jax.methods.registry import family
from splice_jax.training.loop import train
from splice_jax.training.optimizer import make_optimizer, step_schedule
from splice_jax.training.step import ParallelStep, StepSpec, initial_state


def gradients(config: ConfigDict) -> dict[str, np.ndarray]:
    """Of a first step from the same variables and batch, with its loss."""
    rows = family(config.method)
    network = rows.network(config)
    variables = rows.initial_variables(network, jax.random.key(config.seed))
    training = rows.training(config, network, variables, open_split(config.dataset, config.data_dir, "train"))
    optimizer = make_optimizer(step_schedule(1.0, (), 1.0, 0), kind="sgd")  # Its momentum is then the gradient.
    step = ParallelStep(StepSpec(training.loss, optimizer), training.resident)
    replicas, scalars = step(step.replicate(initial_state(variables, optimizer, 0)), next(training.batches))
    leaves = jax.tree.leaves_with_path(step.unreplicate(replicas).optimizer_state)
    found: Any = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves if np.ndim(leaf)}
    return found | {"loss": np.array(scalars["loss/total"].item())}


def main() -> None:
    file, folder, port, process, processes = sys.argv[1:]
    config, place = ConfigDict(json.loads(Path(file).read_text())), Path(folder)
    address = f"127.0.0.1:{port}" if port else ""
    with hosts.together(address, *((int(processes), int(process)) if port else ())):
        found = gradients(config)
        if hosts.is_first():
            np.savez(place / f"{processes}.npz", **found)
        if port:
            train(config, place / "run")
            config.evaluation_name = "together"
            evaluate(config, place / "run")


if __name__ == "__main__":
    errors.run(main)
