"""Speed of `sgt`: one image beside `sgn`, a large image, training, composing; and how many programs are compiled.

    python -m benchmarks.sgt [--images DIR] [--photographs DIR] [--rounds=5]

Both networks take turns on the same image in one process; the ratio is the median over rounds of the ratios within a
round. `--images`: files whose sizes are counted in compiled programs. `--photographs`: to compose from.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

import splice_jax
from splice_jax import errors, runtime
from splice_jax.data.composing.compose import Composer
from splice_jax.data.composing.sources import find_sources
from splice_jax.data.feeding.trace_table import TraceCrop, TraceTable
from splice_jax.images import images_in
from splice_jax.methods.registry import family
from splice_jax.methods.trained.semi_global_traces import localizer as sgt
from splice_jax.methods.trained.semi_global_traces.training import loss
from splice_jax.models.traces import bank
from splice_jax.runs.builtin import builtin
from splice_jax.runs.load import localizer_from_config
from splice_jax.training.optimizer import cosine_schedule, make_optimizer
from splice_jax.training.step import ParallelStep, StepSpec, initial_state

SIZE, LARGE = (568, 757), (3000, 4000)
STEPS = 20


def main() -> None:
    """Prints a line per figure."""
    flags = argparse.ArgumentParser(prog="python -m benchmarks.sgt", description=__doc__)
    flags.add_argument("--images", type=Path, nargs="*", default=[], metavar="DIR")
    flags.add_argument("--photographs", type=Path, metavar="DIR")
    flags.add_argument("--rounds", type=int, default=5, metavar="N")
    given = flags.parse_args()
    runtime.set_up()
    localizer = splice_jax.load()
    print(f"{jax.devices()[0].device_kind}, {jax.device_count()} devices")
    if given.images:
        sizes = {size for folder in given.images for path in images_in(folder).images for size in [_blocks(path)]}
        print(f"{len(sizes)} sizes of images: {len({sgt.padded_size(*size) for size in sizes})} programs")
    _beside_sgn(localizer, given.rounds)
    large = _picture(LARGE)
    started = time.perf_counter()
    localizer(large)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"12 megapixels, compilation included: {time.perf_counter() - started:.1f} s, {peak:.2f} GB for the process")
    print(f"12 megapixels, compiled: {_seconds(lambda: localizer(large)):.1f} s")
    _training()
    if given.photographs:
        composer = Composer(find_sources(given.photographs), "train", 0, "wild")
        count = 60
        seconds = _seconds(lambda: [composer(index) for index in range(count)])
        print(f"composing: {count / seconds:.1f} images/s in one process")


def _blocks(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.height // 8, image.width // 8


def _picture(size: tuple[int, int]) -> np.ndarray:
    """Soft shapes with grain."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: size[0], : size[1]]
    soft = 128 + 60 * np.sin(x / 97 + y / 131)[..., None] * np.array([1, 0.8, 0.6])
    return (soft + 6 * rng.standard_normal((*size, 3), np.float32)).clip(0, 255).astype(np.uint8)


def _beside_sgn(localizer: Any, rounds: int) -> None:
    """`sgn` at the paper's size, with ResNet-18, at a stride of 32 pixels; weights do not change its speed."""
    config = builtin("histories")
    config.hidden_size, config.num_layers, config.patch_stride, config.global_network = 256, 3, 32, "resnet18"
    rows = family("sgn")
    network = rows.network(config)
    other = localizer_from_config(config, network, rows.initial_variables(network, jax.random.key(0)))
    image = _picture(SIZE)
    jobs: dict[str, Callable[[], object]] = {"sgt": lambda: localizer(image), "sgn": lambda: other(image)}
    for job in jobs.values():
        job()
    seconds = {name: [] for name in jobs}  # type: dict[str, list[float]]
    for _ in range(rounds):
        for name, job in jobs.items():
            seconds[name].append(statistics.median(_seconds(job) for _ in range(5)))
    ratios = [one / two for one, two in zip(seconds["sgn"], seconds["sgt"], strict=True)]
    said = ", ".join(f"{name} {statistics.median(each):.3f} s" for name, each in seconds.items())
    print(f"757x568: {said}; ratio {statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]")


def _training() -> None:
    """Gradient steps on crops of a table of made-up traces."""
    config = builtin("sgt")
    rows = family("sgt")
    network: Any = rows.network(config)
    state = initial_state(rows.initial_variables(network, jax.random.key(0)), _optimizer(config), 0, averaged=True)
    step = ParallelStep(StepSpec(loss(network, config.loss, config.trace_dropout, augment=True), _optimizer(config)))
    crop, rng = TraceCrop(_table(), config.crop_blocks), np.random.default_rng(0)
    states = [step.replicate(state)]

    def train() -> None:
        crops = [crop(int(rng.integers(8)), rng) for _ in range(config.batch_size)]
        batch = {name: np.stack([each[name] for each in crops]) for name in crops[0]}
        states[0], _ = jax.block_until_ready(step(states[0], batch))

    def several() -> None:
        for _ in range(STEPS):
            train()

    train()
    seconds = _seconds(several)
    print(f"training: {STEPS * config.batch_size / seconds:.1f} crops/s from stored traces")


def _optimizer(config: Any) -> Any:
    schedule = cosine_schedule(config.learning_rate, 1000, 10)
    return make_optimizer(schedule, kind="adamw", weight_decay=config.weight_decay, clip_norm=config.clip_norm)


def _table() -> TraceTable:
    rng = np.random.default_rng(0)
    count, side = 8, 56
    blocks = count * side * side
    return TraceTable(
        rng.standard_normal((blocks, bank.COUNT), np.float32).astype(np.float16),
        rng.integers(0, 256, (4 * blocks, 3), np.uint8),
        255 * rng.integers(0, 2, 4 * blocks, np.uint8),
        np.full((count, 2), side, np.int32),
        np.zeros((count, bank.COUNT), np.float32),
        np.ones((count, bank.COUNT), np.float32),
    )


def _seconds(job: Callable[[], object]) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


if __name__ == "__main__":
    errors.run(main)
