"""One run on several processes and devices, which must not make a difference: `python -m benchmarks.hosts`.

For every layout, the gradients of a first step, the losses of further ones, and an evaluation of one checkpoint. Then
one of two processes is killed, and the time is taken until the other has ended.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from splice_jax import errors, hosts, runtime
from splice_jax.data import open_split
from splice_jax.evaluation.evaluate import evaluate
from splice_jax.methods.registry import family
from splice_jax.runs.builtin.demo import get_config
from splice_jax.runs.checkpoints import LAST
from splice_jax.training.loop import train
from splice_jax.training.optimizer import make_optimizer, step_schedule
from splice_jax.training.step import ParallelStep, StepSpec, initial_state

ROOT = Path(__file__).parents[1]
FIELDS: dict[str, dict[str, Any]] = {
    "sgn": {"patches_per_image": 2},
    "mfcn": {"width": 1 / 16, "crop_size": 64},
    "sgt": {"trace_width": 8, "trace_depth": 16, "trace_layers": 1, "crop_blocks": 16},
}


class Layout(NamedTuple):
    """How many processes, and how many devices each of them has."""

    processes: int
    devices: int

    def __str__(self) -> str:
        return f"{self.processes}x{self.devices}"


LAYOUTS = (Layout(1, 1), Layout(1, 2), Layout(1, 4), Layout(2, 2))


def gradients(config: ConfigDict, steps: int = 1) -> dict[str, np.ndarray]:
    """The gradients of a first step from the same variables and batch, and the losses of `steps`."""
    rows = family(config.method)
    network = rows.network(config)
    variables = rows.initial_variables(network, jax.random.key(config.seed))
    examples = open_split(config.dataset, config.data_dir, "train")
    _, batches, loss, resident = rows.training(config, network, variables, examples)
    # Its momentum is the gradient after one step; then a rate that lets losses change, but not run away.
    optimizer = make_optimizer(step_schedule(1e-3, (), 1.0, 0), kind="sgd", frozen=rows.frozen)
    step = ParallelStep(StepSpec(loss, optimizer, rows.frozen), resident)
    replicas, scalars = step(step.replicate(initial_state(variables, optimizer, 0)), next(batches))
    leaves = jax.tree.leaves_with_path(step.unreplicate(replicas).optimizer_state)
    found: Any = {jax.tree_util.keystr(path): leaf for path, leaf in leaves if np.ndim(leaf)}
    losses = [scalars["loss/total"].item()]
    for _ in range(steps - 1):
        replicas, scalars = step(replicas, next(batches))
        losses.append(scalars["loss/total"].item())
    return found | {"losses": np.array(losses)}


def difference(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> float:
    """The largest difference of gradients, each as a share of its tensor's largest, without those that are nothing."""
    names = [name for name in expected if name != "losses" and np.abs(expected[name]).max() > 1e-6]
    return max(float(np.abs(found[name] - expected[name]).max() / np.abs(expected[name]).max()) for name in names)


def start(layout: Layout, *arguments: object) -> list[subprocess.Popen[str]]:
    """Starts this file once for every process of a layout; what they print is kept."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}" if layout.processes > 1 else ""
    command = [sys.executable, "-m", "benchmarks.hosts", "worker", address, *map(str, (*layout, *arguments))]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": ROOT}
    return [subprocess.Popen([*command, str(process)], **pipes) for process in range(layout.processes)]


def run(layout: Layout, *arguments: object) -> str:
    """Runs this file in every process of a layout; returns what process 0 printed.

    Raises:
        RuntimeError: one failed; with what it printed.
    """
    started = start(layout, *arguments)
    said = [process.communicate()[0] for process in started]
    for process, text in zip(started, said, strict=True):
        if process.returncode:
            raise RuntimeError(f"{layout}: {text}")
    return said[0]


def _work(address: str, processes: str, devices: str, file: str, folder: str, tasks: str, process: str) -> None:
    """One process: its tasks are `gradients:STEPS`, `train` and `evaluate:NAME`, separated by commas."""
    config, place = ConfigDict(json.loads(Path(file).read_text())), Path(folder)
    runtime.set_up(int(devices))
    with hosts.together(address, *((int(processes), int(process)) if address else ())):
        for name, _, argument in (task.partition(":") for task in tasks.split(",")):
            if name == "gradients":
                found: Any = gradients(config, int(argument))
                if hosts.is_first():
                    np.savez(place / f"{processes}x{devices}.npz", **found)
            elif name == "train":
                train(config, place / "run")
            else:
                config.evaluation_name = argument
                evaluate(config, place / "run")


def scores(run_folder: Path, name: str) -> dict[str, Any]:
    """What an evaluation found, without the time it took and what it is called."""
    found = json.loads((run_folder / "evaluation" / name / "scores.json").read_text())
    for row in found["rows"]:
        del row["seconds_per_image"]
    return {part: found[part] for part in ("rows", "images") if part in found}


def ended_after(folder: Path, file: Path, victim: int) -> tuple[float, int, str]:
    """Kills one of two processes in training: seconds until the other ended, its exit code and its last line."""
    started = start(Layout(2, 1), file, folder, "train")
    checkpoints = folder / "run" / "checkpoints" / LAST
    before = set(checkpoints.glob("*"))
    while not any(path.name.isdecimal() for path in {*checkpoints.glob("*")} - before):
        if any(process.poll() is not None for process in started):
            raise RuntimeError(started[0].communicate()[0])
        time.sleep(0.1)
    os.kill(started[victim].pid, signal.SIGKILL)
    begun = time.perf_counter()
    said = started[1 - victim].communicate()[0]
    seconds = time.perf_counter() - begun
    started[victim].communicate()
    return seconds, started[1 - victim].returncode, said.splitlines()[-1]


def _compare(method: str, layouts: Sequence[Layout], steps: int, folder: Path) -> None:
    config = get_config()
    config.update(
        FIELDS[method] | {"method": method, "batch_size": 4 * (1 + (method == "sgn")), "validation_images": 2}
    )
    config.update(num_steps=steps, checkpoint_every=50, validate_every=steps, log_every=10, methods=method)
    file = folder / "config.json"
    file.write_text(json.dumps(config.to_dict()))
    run(layouts[0], file, folder, f"gradients:{steps},train,evaluate:{layouts[0]}")
    one = dict(np.load(folder / f"{layouts[0]}.npz"))
    for layout in layouts[1:]:
        run(layout, file, folder, f"gradients:{steps},evaluate:{layout}")
        found = dict(np.load(folder / f"{layout}.npz"))
        losses = np.abs(found["losses"] / one["losses"] - 1).max()
        same = scores(folder / "run", str(layout)) == scores(folder / "run", str(layouts[0]))
        print(
            f"{method} {layout} beside {layouts[0]}: gradients {difference(found, one):.1e} of each tensor's largest, "
            f"losses of {steps} steps {losses:.1e}, scores {'equal' if same else 'NOT EQUAL'}",
            flush=True,
        )


def _kill(folder: Path) -> None:
    config = get_config()
    config.update(batch_size=8, patches_per_image=2, num_steps=10**6, checkpoint_every=5, validate_every=10**6)
    file = folder / "config.json"
    file.write_text(json.dumps(config.to_dict()))
    for victim in (1, 0):
        seconds, code, line = ended_after(folder, file, victim)
        print(f"process {victim} of 2 killed: the other ended after {seconds:.0f} s with {code}: {line}", flush=True)


def main() -> None:
    """Prints a line for every layout, and one for every process that was killed."""
    if sys.argv[1:2] == ["worker"]:
        errors.run(lambda: _work(*sys.argv[2:]))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100, metavar="N")
    parser.add_argument("--methods", default=",".join(FIELDS))
    parser.add_argument("--layouts", default=",".join(map(str, LAYOUTS)))
    arguments = parser.parse_args()
    layouts = [Layout(*map(int, text.split("x"))) for text in arguments.layouts.split(",")]
    for method in filter(None, arguments.methods.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            _compare(method, layouts, arguments.steps, Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        _kill(Path(folder))


if __name__ == "__main__":
    main()
