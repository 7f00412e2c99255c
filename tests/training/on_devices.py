"""Trains a run for a few steps on 1, 2 and 4 devices, in a process that has four; see test_devices.py.

    python on_devices.py CONFIG.json FOLDER

writes FOLDER/NAME.npz with losses and variables for NAME 1, 2, 4, `start` (before the first step) and `other_key` (one
device, another random key).
"""

import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from splice_jax.data import open_split
from splice_jax.methods.registry import family
from splice_jax.training.optimizer import make_optimizer, step_schedule
from splice_jax.training.step import ParallelStep, State, StepSpec, initial_state

STEPS = 3


def main(config: ConfigDict, folder: Path) -> None:
    """All runs start from the same variables and see the same batches."""
    rows = family(config.method)
    network = rows.network(config)
    variables = rows.initial_variables(network, jax.random.key(config.seed))
    examples = open_split(config.dataset, config.data_dir, "train")
    # With SGD differences stay as small as those of the gradients; Adam's updates have their signs, which rounding
    # decides where there is hardly any gradient.
    optimizer = make_optimizer(step_schedule(config.learning_rate, (), 1.0, 0), kind="sgd")

    def save(name: str, state: State, losses: list[float]) -> None:
        leaves = jax.tree.leaves_with_path(state.variables)
        arrays: Any = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
        np.savez(folder / f"{name}.npz", losses=np.array(losses), **arrays)

    save("start", initial_state(variables, optimizer, 0), [])
    loss = rows.training(config, network, variables, examples).loss
    for devices in (1, 2, 4):
        step = ParallelStep(StepSpec(loss, optimizer), devices=jax.devices()[:devices])
        for name, seed in {str(devices): 0, **({"other_key": 1} if devices == 1 else {})}.items():
            batches = rows.training(config, network, variables, examples).batches
            replicas, losses = step.replicate(initial_state(variables, optimizer, seed)), []
            for _ in range(STEPS):
                replicas, scalars = step(replicas, next(batches))
                losses.append(scalars["loss/total"].item())
            save(name, step.unreplicate(replicas), losses)


if __name__ == "__main__":
    main(ConfigDict(json.loads(Path(sys.argv[1]).read_text())), Path(sys.argv[2]))
