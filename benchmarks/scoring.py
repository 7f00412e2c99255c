"""Scores many large cached maps under every convention: seconds per map, and the memory of the processes that do it.

    python -m benchmarks.scoring [--maps=1000] [--width=2048] [--height=1536] [--processes=N]

Only a few different maps are written, and linked under as many names as needed, so that the disk does not fill up.
"""

import argparse
import os
import resource
import tempfile
import time
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
from scipy import ndimage

from splice_jax.evaluation.maps import cache
from splice_jax.evaluation.maps.records import MapRecord, RowRecord
from splice_jax.evaluation.maps.truth import Truth
from splice_jax.evaluation.scores import scoring
from splice_jax.evaluation.scores.scoring import RowMaps
from splice_jax.images import encode_png
from splice_jax.metrics import quantize
from splice_jax.workers import executor

DIFFERENT = 4
ROW = "sgn"


def main() -> None:
    """Prints one line."""
    flags = argparse.ArgumentParser(prog="python -m benchmarks.scoring", description=__doc__)
    flags.add_argument("--maps", type=int, default=1000, metavar="N")
    flags.add_argument("--width", type=int, default=2048)
    flags.add_argument("--height", type=int, default=1536)
    flags.add_argument("--processes", type=int, default=None, metavar="N", help="0 for none; one per core by default")
    given = flags.parse_args()
    with tempfile.TemporaryDirectory() as folder, executor(given.processes) as workers:
        cached = made_up_maps(Path(folder), given.maps, (given.height, given.width))
        wall, cpu = seconds(cached, workers)
    print(
        f"{given.maps} maps of {given.width} x {given.height}: {wall / given.maps:.3f} s per map, of "
        f"{cpu / given.maps:.3f} s on a core; at most {memory():.0f} MB in a process"
    )


def made_up_maps(folder: Path, count: int, size: tuple[int, int]) -> RowMaps:
    """Blurred noise with every level in it, spliced in a quarter of each image."""
    random, digests = np.random.default_rng(0), []
    mask = np.zeros(size, bool)
    mask[: size[0] // 2, : size[1] // 2] = True
    for number in range(min(DIFFERENT, count)):
        noise = ndimage.gaussian_filter(random.standard_normal(size).astype(np.float32), 4) + 0.05 * mask
        levels = quantize((1 / (1 + np.exp(-30 * noise))).astype(np.float32))
        digests.append(cache.write_map(cache.map_path(folder, ROW, str(number)), levels))
    for number in range(DIFFERENT, count):
        os.link(cache.map_path(folder, ROW, str(number % DIFFERENT)), cache.map_path(folder, ROW, str(number)))
    truths = [Truth(number, str(number), *size, encode_png(mask), True, "") for number in range(count)]
    records = [MapRecord(str(number), digests[number % len(digests)], 0.0) for number in range(count)]
    return RowMaps.of(folder, ROW, RowRecord({}, None, tuple(records)), truths, ignore_border=0)


def seconds(cached: RowMaps, workers: Executor) -> tuple[float, float]:
    """Wall and processor time of scoring, intervals included; the latter of this process and of those that ended."""
    started, before = time.perf_counter(), processor_seconds()
    scoring.score_row(cached, workers).scores.entries(seed=0)
    wall = time.perf_counter() - started
    workers.shutdown()
    return wall, processor_seconds() - before


def processor_seconds() -> float:
    """User and system time."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def memory() -> float:
    """The most memory, in MB, that this process or one that it started ever held."""
    used = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(used) / 1024


if __name__ == "__main__":
    main()
