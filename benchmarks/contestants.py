"""Who is timed: this project, and the PyTorch baseline as published and as a careful user would rewrite it.

Each runs in its own process, warmed up, and works only when told to, while the others wait. So each has the whole
machine, and a machine that slows down slows all of them. A turn lasts several seconds, so that a short job is not timed
with caches that another one left behind.
"""

import functools
import importlib.util
import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import numpy as np

BATCH, PATCHES_PER_IMAGE = 64, 8
OURS, OURS_BFLOAT16 = "ours", "ours, bfloat16"
REWRITTEN, PUBLISHED = "PyTorch, rewritten", "PyTorch, as published"
REFERENCES = {PUBLISHED: "a", REWRITTEN: "b"}

TURN_SECONDS = 2.0
"""Minimum length of a turn."""

Job = Callable[[], object]


def have_torch() -> bool:
    """Whether the extra `[torch]` is installed."""
    return importlib.util.find_spec("torch") is not None


def names() -> list[str]:
    """The contestants that can be timed here."""
    return [OURS, OURS_BFLOAT16, *([REWRITTEN, PUBLISHED] if have_torch() else [])]


class Contestant:
    """A process that has prepared a job and does it when asked for the time it takes."""

    def __init__(self, name: str, task: str, *options: Any) -> None:
        """Starts it; `task` and `options`: see `_prepare`."""
        context = multiprocessing.get_context("spawn")
        self.name = name
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, name, task, options), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> "Contestant":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.join()

    def ready(self) -> float:
        """Waits until it is warm; the seconds from the process's start to the end of its first job."""
        return float(self._pipe.recv())

    def seconds(self) -> float:
        """Of doing the job once, in a turn of doing it again and again."""
        self._pipe.send("go")
        return float(self._pipe.recv())

    def megabytes(self) -> float:
        """The most memory that its process has held."""
        self._pipe.send("memory")
        return float(self._pipe.recv())


def _serve(pipe: Connection, name: str, task: str, options: tuple[Any, ...]) -> None:
    start = time.perf_counter()
    job = _prepare(name, task, *options)
    job()
    pipe.send(time.perf_counter() - start)
    for order in iter(pipe.recv, None):
        if order == "go":
            pipe.send(_turn(job))
        else:
            pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _turn(job: Job) -> float:
    """Mean seconds of a job over a turn."""
    start, count, elapsed = time.perf_counter(), 0, 0.0
    while elapsed < TURN_SECONDS:
        job()
        count, elapsed = count + 1, time.perf_counter() - start
    return elapsed / count


def _prepare(name: str, task: str, *options: Any) -> Job:
    """The job of a contestant.

    Args:
      name: one of `names()`.
      task: `train` (options: architecture, batch size; a gradient step) or `localize` (options: architecture, height,
        width; an image).
    """
    if name in REFERENCES:
        return _torch_job(task, *options, once_per_image=name == REWRITTEN)
    from splice_jax import runtime

    runtime.set_up()
    return _our_job(task, *options, dtype="bfloat16" if name == OURS_BFLOAT16 else "float32")


def our_config(arch: str, dtype: str = "float32") -> Any:
    """The configuration of one of the baseline's architectures."""
    from splice_jax.runs.builtin.default import get_config

    config = get_config()
    config.method, config.global_network = {"jcs": ("bappy", "none"), "sgn": ("sgn", "cnn")}.get(
        arch, ("sgn", "resnet18")
    )
    config.compute_dtype, config.patches_per_image = dtype, PATCHES_PER_IMAGE
    return config


def _our_job(task: str, arch: str, *size: int, dtype: str) -> Job:
    from benchmarks import speed

    config = our_config(arch, dtype)
    if task == "train":
        [config.batch_size] = size
        return speed.training_step(config)
    return functools.partial(speed.random_localizer(config), noise(*size))


def _torch_job(task: str, arch: str, *size: int, once_per_image: bool) -> Job:
    import torch

    from benchmarks import pytorch_baseline as baseline

    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_default_device(device)
    model = baseline.Baseline(arch)
    if task == "localize":
        return functools.partial(baseline.localize, model, noise(*size), once_per_image=once_per_image)
    optimizer, [count] = baseline.adam(model), size
    owner = np.repeat(np.arange(count // PATCHES_PER_IMAGE), PATCHES_PER_IMAGE)
    random = np.random.default_rng(0)
    batch = {
        "patches": random.integers(0, 256, (count, 64, 64, 3), np.uint8),
        "masks": random.integers(0, 2, (count, 64, 64), np.uint8),
        "labels": random.integers(0, 2, count, np.uint8),
        "thumbnails": random.integers(0, 256, (owner[-1] + 1, 224, 224, 3), np.uint8),
        "image": owner,
    }
    model.train()
    return functools.partial(baseline.train_step, model, optimizer, batch, once_per_image=once_per_image)


def noise(height: int, width: int) -> np.ndarray:
    """A uint8 [height, width, 3] image."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
