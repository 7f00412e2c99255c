"""Kills one training run many times and compares it with the run that nobody killed: `python -m benchmarks.kills`.

The run is killed by SIGKILL, from within: after a chosen step, or while a chosen checkpoint is being written, at a
random moment of the write. What does so is in this file, not in the package.
"""

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from splice_jax import runtime
from splice_jax.runs.builtin.demo import get_config
from splice_jax.runs.checkpoints import LAST, Checkpoints
from splice_jax.training import loop
from splice_jax.training.step import ParallelStep

INSIDE = "inside"
"""Written into the run's folder by a run that dies while it writes a checkpoint."""


class Kill(NamedTuple):
    """When a run is to die: after a step, or `seconds` into the writing of that step's checkpoint."""

    step: int
    seconds: float | None = None


class Outcome(NamedTuple):
    """What came of all kills."""

    killed: int
    inside: int
    """How many died while a checkpoint was written."""
    resumed_at: Sequence[int]
    """The steps that the run was resumed after."""
    identical: bool
    """Whether parameters, statistics, optimizer and key are those of the run that was not killed, bit for bit."""


def run(config: ConfigDict, folder: Path, *, kills: int, in_writes: int, seed: int = 0) -> Outcome:
    """Trains twice, and kills one of the two `kills` times, `in_writes` of them within the write of a checkpoint.

    Args:
        config: with so many checkpoints that a kill can follow each.
        folder: where both runs go.
        kills: how often; at least `in_writes`.
        in_writes: how often within a write.
        seed: of the moments.

    Raises:
        RuntimeError: a run that was to die did not, or died otherwise, or left a checkpoint that cannot be read.
    """
    random_ = random.Random(seed)
    started = time.perf_counter()
    straight = loop.train(config, folder / "straight")
    write = _seconds_of_write(folder, straight, config)
    print(f"uninterrupted: {time.perf_counter() - started:.0f} s; a checkpoint takes {1000 * write:.0f} ms", flush=True)
    kinds = [True] * in_writes + [False] * (kills - in_writes)
    random_.shuffle(kinds)
    workdir, inside, resumed = folder / "killed", 0, []
    for number, within in enumerate(kinds):
        newest = _newest(workdir)
        checkpoint = newest + config.checkpoint_every * random_.choice((1, 2))
        kill = Kill(checkpoint, random_.uniform(0, write)) if within else Kill(newest + random_.randint(1, 3))
        _until_it_ends(config, workdir, kill, -signal.SIGKILL)
        marked = (workdir / INSIDE).exists()
        inside += marked
        (workdir / INSIDE).unlink(missing_ok=True)
        resumed.append(_readable(workdir, straight))
        what = "inside a write" if marked else "between writes"
        print(f"kill {number + 1}/{kills}: step {kill.step}, {what}; resumes after step {resumed[-1]}", flush=True)
    _until_it_ends(config, workdir, None, 0)
    found, _ = Checkpoints(workdir, LAST, read_only=True).restore(straight)
    same = jax.tree.map(lambda one, other: bool(np.array_equal(one, other)), found, straight)
    unfinished = [path for path in workdir.rglob("*tmp*") if "checkpoints" in path.parts]
    return Outcome(kills, inside, resumed, all(jax.tree.leaves(same)) and not unfinished)


def _until_it_ends(config: ConfigDict, workdir: Path, kill: Kill | None, code: int) -> None:
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # Imports take longer than a short run.
    process = context.Process(target=_train, args=(config.to_dict(), workdir, kill))
    process.start()
    process.join()
    if process.exitcode != code:
        raise RuntimeError(f"{workdir}: {kill} ended with {process.exitcode}, not {code}")


def _train(fields: dict[str, Any], workdir: Path, kill: Kill | None) -> None:
    """In a process of its own."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, to the end of the process
    config = ConfigDict(fields)
    runtime.set_up(config.cpu_devices)
    if kill is not None:
        _arm(kill, workdir)
    loop.train(config, workdir)


def _arm(kill: Kill, workdir: Path) -> None:
    step_, save_ = ParallelStep.__call__, Checkpoints.save
    taken = [_newest(workdir)]

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def step(self: ParallelStep, *arguments: Any) -> Any:
        found = step_(self, *arguments)
        taken[0] += 1
        if kill.seconds is None and taken[0] == kill.step:
            jax.block_until_ready(found)
            die()
        return found

    def save(self: Checkpoints, number: int, *arguments: Any) -> None:
        if kill.seconds is None or number != kill.step or self._directory.name != LAST:
            save_(self, number, *arguments)
            return
        (workdir / INSIDE).touch()
        threading.Timer(kill.seconds, die).start()
        save_(self, number, *arguments)
        (workdir / INSIDE).unlink()
        die()

    setattr(ParallelStep, "__call__", step)  # noqa: B010, types would have to be ignored
    setattr(Checkpoints, "save", save)  # noqa: B010


def _newest(workdir: Path) -> int:
    folder = workdir / "checkpoints" / LAST
    return max((int(path.name) for path in folder.glob("*") if path.name.isdecimal()), default=0)


def _readable(workdir: Path, like: Any) -> int:
    """The newest checkpoint's step, 0 if there is none.

    Raises:
        RuntimeError: it cannot be read.
    """
    step = _newest(workdir)
    if step and Checkpoints(workdir, LAST, read_only=True).restore(like)[0].step != step:
        raise RuntimeError(f"{workdir}: the checkpoint of step {step} cannot be read")
    return step


def _seconds_of_write(folder: Path, state: Any, config: ConfigDict) -> float:
    checkpoints, started = Checkpoints(folder / "write", LAST), time.perf_counter()
    for step in (1, 2, 3):
        checkpoints.save(step, state, {})
    shutil.rmtree(folder / "write")
    return (time.perf_counter() - started) / 3


def main() -> None:
    """Kills the demo's run, made smaller, and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, metavar="N")
    parser.add_argument("--in-writes", type=int, metavar="N", help="a third of all by default")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    config = get_config()
    config.update(
        batch_size=4, patches_per_image=2, num_steps=2 * arguments.kills + 4, log_every=10, cpu_devices=1, seed=1
    )
    config.update(checkpoint_every=1, validate_every=2 * arguments.kills + 4, validation_images=1)
    runtime.set_up(config.cpu_devices)
    in_writes = -(-arguments.kills // 3) if arguments.in_writes is None else arguments.in_writes
    with tempfile.TemporaryDirectory() as folder:
        found = run(config, Path(folder), kills=arguments.kills, in_writes=in_writes, seed=arguments.seed)
    different = len(set(found.resumed_at))
    print(f"{found.killed} kills, {found.inside} inside a write, {different} different steps to resume after")
    print("final parameters: " + ("identical, bit for bit" if found.identical else "NOT THE SAME"))
    sys.exit(not found.identical)


if __name__ == "__main__":
    main()
