"""One run on several processes and devices, which must not make a difference: `python -m benchmarks.hosts`.

For every method and layout, beside one process with one device: the gradients of a first step, the losses of further
ones, the parameters after as many in float64, and the scores of one checkpoint. Then one of two processes is killed,
and the time is taken until the other has ended.
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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from splice_jax import errors, hosts, runtime
from splice_jax.data import open_split
from splice_jax.evaluation.evaluate import evaluate
from splice_jax.files import writable_folder
from splice_jax.images import encode_png
from splice_jax.methods.family import Variables
from splice_jax.methods.registry import family
from splice_jax.runs.builtin.demo import get_config
from splice_jax.runs.checkpoints import BEST, LAST, Checkpoints
from splice_jax.runs.configuration import load_run_config, save_config
from splice_jax.training.loop import train
from splice_jax.training.optimizer import make_optimizer, step_schedule
from splice_jax.training.step import ParallelStep, StepSpec, initial_state
from splice_jax.workers import cores

ROOT = Path(__file__).parents[1]
FIELDS: dict[str, dict[str, Any]] = {
    "sgn": {"batch_size": 8, "patches_per_image": 2},
    "mfcn": {"batch_size": 4, "width": 1 / 16, "crop_size": 64, "learning_rate": 2e-4},
    "sgt": {"batch_size": 4, "trace_width": 8, "trace_depth": 16, "trace_layers": 1, "crop_blocks": 16},
}
"""Small networks with every kind of layer; batches that four devices can share. All augment, `sgn` and `mfcn` have
BatchNorm, `mfcn` and `sgt` dropout, and crops of `sgt`'s are padded."""
IMAGES = {"train": 7, "val": 1, "test": 3}
"""No number that two processes could share equally."""
SIDE = 96
BITS = (32, 64)

Task = tuple[str, Mapping[str, Any]]
"""The name of one of `TASKS`, and its options."""
Arrays = Mapping[str, np.ndarray]


class Layout(NamedTuple):
    """How many processes, and how many devices each of them has."""

    processes: int
    devices: int

    def __str__(self) -> str:
        return f"{self.processes}x{self.devices}"


LAYOUTS = (Layout(1, 1), Layout(1, 2), Layout(1, 4), Layout(2, 2))


class Course(NamedTuple):
    """A training by gradient descent."""

    losses: np.ndarray
    gradients: Any
    """Of the first step; a tree that has numbers beside them."""
    variables: Variables
    """After the last."""

    def save(self, file: Path) -> None:
        """Writes all but running averages, for `difference`."""
        arrays: Any = _named("gradient", self.gradients) | _named("parameter", self.variables["params"])
        np.savez(file, losses=self.losses, **arrays)


def course(config: ConfigDict, steps: int, *, bits: int = 32, devices: int | None = None, seed: int = 0) -> Course:
    """From the same variables and on the same batches in every layout.

    Args:
        config: what is trained; all else than the optimizer is taken from it.
        steps: how many.
        bits: of floating-point numbers.
        devices: the first of this process's, None for all.
        seed: of augmentation and dropout.
    """
    rows = family(config.method)
    network = rows.network(config)
    variables = rows.initial_variables(network, jax.random.key(config.seed))
    if bits == 64 and "compute_dtype" in vars(network):
        network = network.clone(compute_dtype="float64")
    examples = open_split(config.dataset, config.data_dir, "train")
    _, batches, loss, resident = rows.training(config, network, variables, examples)
    optimizer = make_optimizer(step_schedule(config.learning_rate, (), 1.0, 0), kind="sgd", frozen=rows.frozen)
    with jax.enable_x64(bits == 64):
        chosen = None if devices is None else jax.local_devices()[:devices]
        step = ParallelStep(StepSpec(loss, optimizer, rows.frozen), resident, chosen)
        replicas = step.replicate(initial_state(_stirred(variables, np.dtype(f"float{bits}")), optimizer, seed))
        losses, gradients = [], None
        for _ in range(steps):
            replicas, scalars = step(replicas, next(batches))
            losses.append(scalars["loss/total"].item())
            # After one step, its momentum is the gradient.
            gradients = gradients or step.unreplicate(replicas).optimizer_state
        return Course(np.array(losses), gradients, step.unreplicate(replicas).variables)


def _stirred(variables: Any, dtype: np.dtype) -> Any:
    """With a little noise on every parameter: no gradient passes a layer of zeros, which some networks start with."""
    random = np.random.default_rng(0)
    noise = jax.tree.map(lambda leaf: 0.03 * random.standard_normal(leaf.shape), variables["params"])
    stirred = {**variables, "params": jax.tree.map(np.add, variables["params"], noise)}
    return jax.tree.map(lambda leaf: np.asarray(leaf, dtype), stirred)


def _named(kind: str, tree: Any) -> dict[str, np.ndarray]:
    leaves = jax.tree.leaves_with_path(tree)
    return {kind + jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves if np.ndim(leaf)}


class Difference(NamedTuple):
    """Of two courses; the largest of each."""

    gradient: float
    """As a share of its tensor's largest, of those whose largest exceeds 1e-6: ahead of BatchNorm, biases have none."""
    loss: float
    """As a share of it."""
    parameter: float


def difference(found: Arrays, expected: Arrays) -> Difference:
    """How far a course is from another."""

    def furthest(kind: str) -> list[tuple[float, float]]:
        names = [name for name in expected if name.startswith(kind)]
        return [
            (float(np.abs(found[name] - expected[name]).max()), float(np.abs(expected[name]).max())) for name in names
        ]

    gradients = [apart / largest for apart, largest in furthest("gradient") if largest > 1e-6]
    losses = np.abs(found["losses"] / expected["losses"] - 1)
    return Difference(max(gradients), float(losses.max()), max(apart for apart, _ in furthest("parameter")))


def _course(folder: Path, name: str, method: str, *, kept: bool = False, **options: Any) -> None:
    """Writes FOLDER/NAME.npz; where it is `kept`, FOLDER/METHOD is a run of it."""
    config, run = _config(folder, method), folder / method
    found = course(config, **options)
    if hosts.is_first():
        found.save(folder / f"{name}.npz")
        if kept:
            save_config(config, writable_folder(run))
    if kept:
        Checkpoints(run, BEST).save(len(found.losses), found.variables, {})


def _train(folder: Path, name: str) -> None:
    train(_config(folder, name), folder / name)


def _evaluate(folder: Path, name: str, methods: Sequence[str]) -> None:
    """One evaluation of the runs FOLDER/METHOD, in a folder beside them."""
    config = _config(folder, methods[0])
    config.update(
        evaluation_name=name, methods=",".join(methods), runs=",".join(str(folder / each) for each in methods)
    )
    evaluate(config, folder)


TASKS: Mapping[str, Any] = {"course": _course, "train": _train, "evaluate": _evaluate}


def _config(folder: Path, name: str) -> ConfigDict:
    return load_run_config(folder / "configurations" / name)


def prepare(folder: Path, config: ConfigDict, methods: Sequence[str]) -> None:
    """Draws images into FOLDER/data, and writes FOLDER/configurations/METHOD for every method."""
    for split, count in IMAGES.items():
        for number in range(count):
            _draw(folder / "data" / split, split, number)
    for method in methods:
        own = ConfigDict(config.to_dict())
        own.update(FIELDS[method] | {"method": method, "dataset": "folder", "data_dir": str(folder / "data")})
        configure(folder, method, own)


def configure(folder: Path, name: str, config: ConfigDict) -> None:
    """Writes what tasks of this name are configured by."""
    save_config(config, writable_folder(folder / "configurations" / name))


def _draw(folder: Path, split: str, number: int) -> None:
    """Noise with a rectangle of other noise in it."""
    random = np.random.default_rng([len(split), number])
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[: SIDE // 2 + number, 10 : SIDE // 2 + 10] = 255
    image = random.normal(120, np.where(mask, 40, 10)[..., None], (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)
    for kind, pixels in (("images", image), ("masks", mask)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        (folder / kind / f"{number}.png").write_bytes(encode_png(pixels))


def start(layout: Layout, folder: Path, tasks: Sequence[Task], threads: int = 0) -> list[subprocess.Popen[str]]:
    """Starts this file once for every process of a layout, to do these tasks; what they print is kept.

    XLA rounds by its number of threads: one per core, but no fewer than devices or `threads`.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}" if layout.processes > 1 else ""
    command = [sys.executable, "-m", "benchmarks.hosts", "worker", address, *map(str, layout), str(folder)]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": ROOT}
    pipes["env"] = os.environ | ({"PJRT_NPROC": str(threads)} if threads > cores() else {})
    return [
        subprocess.Popen([*command, json.dumps(tasks), str(process)], **pipes) for process in range(layout.processes)
    ]


def finish(started: Sequence[subprocess.Popen[str]]) -> str:
    """Waits for processes; returns what the first printed.

    Raises:
        RuntimeError: one failed; with what it printed.
    """
    said = [process.communicate()[0] for process in started]
    for process in started:
        if process.returncode:
            raise RuntimeError("\n".join(said))
    return said[0]


def _work(address: str, processes: str, devices: str, folder: str, tasks: str, process: str) -> None:
    runtime.set_up(int(devices))
    with hosts.together(address, *((int(processes), int(process)) if address else ())):
        for task, options in json.loads(tasks):
            TASKS[task](Path(folder), **options)


def scores(folder: Path, name: str) -> dict[str, Any]:
    """What an evaluation found, by method, without the time that it took."""
    found = json.loads((folder / "evaluation" / name / "scores.json").read_text())
    for row in found["rows"]:
        del row["seconds_per_image"]
    return {row["method"]: row for row in found["rows"]}


def ended_after(folder: Path, method: str, victim: int) -> tuple[float, int, str]:
    """Kills one of two processes in training: seconds until the other ended, its exit code and its last line."""
    started = start(Layout(2, 1), folder, [("train", {"name": method})])
    checkpoints = folder / method / "checkpoints" / LAST
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


def _compare(methods: Sequence[str], layouts: Sequence[Layout], steps: int, folder: Path) -> None:
    config = get_config()
    config.update(num_steps=steps, learning_rate=1e-3)
    prepare(folder, config, methods)
    first, alone = layouts[0], [layout for layout in layouts if layout.processes == 1]
    threads = max(layout.devices for layout in layouts)
    courses = [task for layout in alone for task in _courses(layout, first, methods, steps)]
    started = start(max(alone), folder, courses, threads)
    for layout in set(layouts) - set(alone):
        started += start(layout, folder, _courses(layout, first, methods, steps), threads)
    finish(started)
    print(f"{steps} steps beside {first}  gradients  losses   parameters, float64  scores  loss, first to last")
    for layout in layouts:
        finish(start(layout, folder, [("evaluate", {"name": str(layout), "methods": methods})], threads))
        for method in methods if layout != first else ():
            print(_line(folder, method, layout, first), flush=True)


def _courses(layout: Layout, first: Layout, methods: Sequence[str], steps: int) -> list[Task]:
    """All courses of a layout; the first layout's are those whose checkpoints are evaluated."""
    return [
        (
            "course",
            {
                "name": f"{layout}.{method}.{bits}",
                "method": method,
                "steps": steps,
                "bits": bits,
                "devices": layout.devices if layout.processes == 1 else None,
                "kept": layout == first and bits == BITS[0],
            },
        )
        for method in methods
        for bits in BITS
    ]


def _line(folder: Path, method: str, layout: Layout, first: Layout) -> str:
    one, found = ([dict(np.load(folder / f"{each}.{method}.{bits}.npz")) for bits in BITS] for each in (first, layout))
    narrow, wide = map(difference, found, one)
    same = scores(folder, str(layout))[method] == scores(folder, str(first))[method]
    losses = one[0]["losses"]
    return (
        f"{method:<5}{layout!s:<16}  {narrow.gradient:<9.1e}  {narrow.loss:.1e}  {wide.parameter:<19.1e}  "
        f"{'equal ' if same else 'DIFFER'}  {losses[0]:.3f} to {losses[-1]:.3f}"
    )


def _kill(folder: Path) -> None:
    config = get_config()
    config.update(num_steps=10**6, checkpoint_every=5, validate_every=10**6)
    method = next(iter(FIELDS))
    prepare(folder, config, [method])
    for victim in (1, 0):
        seconds, code, line = ended_after(folder, method, victim)
        print(f"process {victim} of 2 killed: the other ended after {seconds:.0f} s with {code}: {line}", flush=True)


def main() -> None:
    """Prints a line for every method and layout, and one for every process that was killed."""
    if sys.argv[1:2] == ["worker"]:
        errors.run(lambda: _work(*sys.argv[2:]))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100, metavar="N")
    parser.add_argument("--methods", default=",".join(FIELDS))
    parser.add_argument("--layouts", default=",".join(map(str, LAYOUTS)))
    arguments = parser.parse_args()
    layouts = [Layout(*map(int, text.split("x"))) for text in arguments.layouts.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        if methods := list(filter(None, arguments.methods.split(","))):
            _compare(methods, layouts, arguments.steps, Path(folder, "compared"))
        _kill(Path(folder, "killed"))


if __name__ == "__main__":
    main()
