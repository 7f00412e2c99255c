"""The fully connected CRF by JAX beside pydensecrf: agreement, latency of one image, images per second of many.

    python -m benchmarks.crf [--photographs=FOLDER] [--width=757] [--height=568] [--rounds=5] [--images=8]
    python -m benchmarks.crf --workdir=RUN --splices=DIR

Both take turns on the same images and maps, in one process, which both may use whole; a ratio is the median over rounds
of the ratios within a round, with the lowest and the highest. Where many images are at hand, pydensecrf, which uses one
core, runs in as many processes as there are cores. Photographs are resized; without them images are made up, with
surfaces, shading and grain. Their maps are made up too: blurred noise about the image's brightness.
"""

import argparse
import importlib.util
import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path

import jax
import numpy as np
from PIL import Image
from scipy import ndimage

import splice_jax
from splice_jax import metrics
from splice_jax.crf import CrfParameters, on_device, pydensecrf, refine
from splice_jax.images import read_image, read_mask

Pair = tuple[np.ndarray, np.ndarray]


def main() -> None:
    """Prints a line per figure."""
    flags = argparse.ArgumentParser(prog="python -m benchmarks.crf", description=__doc__)
    flags.add_argument("--photographs", type=Path, metavar="FOLDER", help="JPEG, PNG or TIFF files")
    flags.add_argument("--width", type=int, default=757)
    flags.add_argument("--height", type=int, default=568)
    flags.add_argument("--rounds", type=int, default=5, metavar="N")
    flags.add_argument("--images", type=int, default=8, metavar="N", help="how many different ones (default 8)")
    flags.add_argument("--workdir", type=Path, metavar="DIR", help="a run, whose maps are refined by both instead")
    flags.add_argument("--splices", type=Path, metavar="DIR", help="with --workdir: a folder of images/ and masks/")
    given = flags.parse_args()
    if given.workdir:
        trained_maps(given.workdir, given.splices)
        return
    pairs = made_up((given.height, given.width), given.images, given.photographs)
    beside = importlib.util.find_spec("pydensecrf") is not None
    print(
        f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, {len(pairs)} images of {given.width}x{given.height}"
    )
    started = time.perf_counter()
    on_device.refine(*pairs[0], CrfParameters())
    print(f"first image, compilation included: {time.perf_counter() - started:.1f} s")
    if not beside:
        print("pydensecrf is not installed: nothing to compare with")
    else:
        for iterations in (1, 5, 10):
            print(f"mean difference of marginals, {iterations} steps: {differences(pairs, iterations)}")
    latency(pairs, given.rounds, beside)
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as workers:
        throughput(pairs, given.rounds, workers if beside else None)
    print(f"memory: at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB in this process")


def trained_maps(workdir: Path, splices: Path) -> None:
    """How far apart both are on a network's maps of splices: marginals, and the scores at the best thresholds."""
    localizer = splice_jax.load(workdir)
    found: dict[int, list[list[float]]] = {1: [], 5: [], 10: []}
    for file in sorted((splices / "images").iterdir()):
        image, mask = read_image(file), read_mask(splices / "masks" / f"{file.stem}.png")
        probability = localizer(image).probability
        for iterations, rows in found.items():
            parameters = CrfParameters(iterations=iterations)
            both = [refine(backend, image, probability, parameters) for backend in ("jax", "pydensecrf")]
            curves = [metrics.curve(metrics.quantize(each), mask) for each in both]
            scores = [curve.best(score).value for score in (metrics.f1, metrics.mcc) for curve in curves]
            rows.append([float(np.abs(both[0] - both[1]).mean()), *scores])
    for iterations, rows in found.items():
        means, worst = np.mean(rows, axis=0), np.max(rows, axis=0)[0]
        apart = f"marginals {means[0]:.5f} apart (most {worst:.5f})"
        f1, mcc = (f"{ours:.4f} and {theirs:.4f}" for ours, theirs in means[1:].reshape(2, 2))
        print(f"{iterations} steps, {len(rows)} images: {apart}, F1 {f1}, MCC {mcc}")


def made_up(size: tuple[int, int], count: int, photographs: Path | None) -> list[Pair]:
    """Images, from a folder where one is given, and a map for each."""
    pairs = []
    files = sorted(photographs.iterdir())[:count] if photographs else [None] * count
    for number, file in enumerate(files):
        random = np.random.default_rng(number)
        image = scene(size, random) if file is None else read(file, size)
        bright = image.mean(-1) / 255
        noise = ndimage.gaussian_filter(random.standard_normal(size), 3) * 6
        logits = 4 * (bright - np.median(bright)) + noise
        pairs.append((image, (1 / (1 + np.exp(-logits))).astype(np.float32)))
    return pairs


def read(file: Path, size: tuple[int, int]) -> np.ndarray:
    """A photograph at another size."""
    with Image.open(file) as photograph:
        return np.array(photograph.convert("RGB").resize(size[::-1]))


def scene(size: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """Surfaces with edges, shading and grain."""
    fields = np.stack([ndimage.gaussian_filter(random.standard_normal(size), min(size) / 12) for _ in range(5)])
    surfaces = (2 ** np.arange(5)[:, None, None] * (fields > 0)).sum(0)
    colours = random.uniform(20, 230, (32, 3))[surfaces]
    shading = 1 + 3 * fields[:1].transpose(1, 2, 0)
    return (colours * shading + random.normal(0, 5, (*size, 3))).clip(0, 255).astype(np.uint8)


def differences(pairs: list[Pair], iterations: int) -> str:
    """Mean and highest of the images' mean absolute differences."""
    parameters = CrfParameters(iterations=iterations)
    found = [
        np.abs(on_device.refine(*pair, parameters) - pydensecrf.refine(*pair, parameters)).mean() for pair in pairs
    ]
    return f"{np.mean(found):.5f}, at most {max(found):.5f}"


def latency(pairs: list[Pair], rounds: int, beside: bool) -> None:
    """One image after the other, each by both."""
    ours, theirs = [], []
    for number in range(max(rounds, len(pairs))):
        pair = pairs[number % len(pairs)]
        ours.append(seconds(ours_of, pair))
        if beside:
            theirs.append(seconds(theirs_of, pair))
    report("latency of one image, s", ours, theirs)


def throughput(pairs: list[Pair], rounds: int, workers: Executor | None) -> None:
    """All images at once."""
    images, maps = ([pair[k] for pair in pairs] for k in (0, 1))
    on_device.refine_batch(images, maps, CrfParameters())  # Compiled for the batch, where there is one.
    if workers:
        list(workers.map(theirs_of, pairs))  # Processes started.
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(seconds(lambda: on_device.refine_batch(images, maps, CrfParameters())) / len(pairs))
        if workers:
            theirs.append(seconds(lambda: list(workers.map(theirs_of, pairs))) / len(pairs))
    report("many images, s per image", ours, theirs)


def ours_of(pair: Pair) -> np.ndarray:
    """By JAX."""
    return on_device.refine(*pair, CrfParameters())


def theirs_of(pair: Pair) -> np.ndarray:
    """By pydensecrf."""
    return pydensecrf.refine(*pair, CrfParameters())


def seconds(call: Callable[..., object], *arguments: object) -> float:
    """Wall time."""
    started = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - started


def report(title: str, ours: list[float], theirs: list[float]) -> None:
    """Medians, and how many times as long pydensecrf takes."""
    line = f"{title}: {statistics.median(ours):.3f}"
    if theirs:
        ratios = [t / o for o, t in zip(ours, theirs, strict=True)]
        line += f", pydensecrf {statistics.median(theirs):.3f}: {statistics.median(ratios):.2f} times as long"
        line += f" ({min(ratios):.2f} to {max(ratios):.2f})"
    print(line, flush=True)


if __name__ == "__main__":
    main()
