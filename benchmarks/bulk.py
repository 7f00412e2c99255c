"""What a bulk job survives: SIGKILLs, on its own processes and on a Ray cluster, of which a node is killed too.

    python -m benchmarks.bulk --photographs=DIR [--images=300] [--method=sgt] [--kills=5] [--folder=DIR]

Makes crops of 256 x 256 pixels of the photographs in a folder, as JPEG, with one bad file in a hundred; localizes them
twice, killing and starting again; and checks that every good one has its results exactly once, that every bad one is
named, and that both ways gave the same to the last bit. Prints throughput, that of one worker alone, and memory. Needs
`[ray]`.
"""

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from splice_jax import errors
from splice_jax.bulk.manifest import gather
from splice_jax.images import images_in
from splice_jax.workers import cores

SIDE = 256
BAD_EVERY = 100
SUFFIXES = (".probability.png", ".mask.png", ".overlay.png")
ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "from splice_jax.cli import main; main()", "localize"]


class Crops(NamedTuple):
    """Files to localize."""

    names: list[Path]
    bad: set[str]


def main() -> None:
    """Makes crops, localizes them both ways, checks, prints."""
    flags = argparse.ArgumentParser(prog="python -m benchmarks.bulk", description=__doc__)
    flags.add_argument("--photographs", type=Path, required=True, metavar="DIR", help="at least 256 x 256 pixels each")
    flags.add_argument("--images", type=int, default=300, metavar="N", help="(default 300)")
    flags.add_argument("--method", default="sgt", metavar="NAME", help="(default sgt)")
    flags.add_argument("--kills", type=int, default=5, metavar="N", help="of the job, each way (default 5)")
    flags.add_argument("--folder", type=Path, metavar="DIR", help="where crops and results go and stay")
    given = flags.parse_args()
    with contextlib.ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        crops = make_crops(given.photographs, folder / "crops", given.images)
        (folder / "list").write_bytes(b"\0".join(os.fsencode(name) for name in crops.names) + b"\0")
        command = [*COMMAND, f"--from-list={folder / 'list'}", f"--method={given.method}"]
        print(
            f"{len(crops.names)} crops, {len(crops.bad)} of them bad, row {given.method}, {cores()} cores", flush=True
        )
        killed(command, folder / "pool", crops, given.kills)
        with cluster() as (address, lose_node):
            killed([*command, f"--ray={address}"], folder / "ray", crops, given.kills, lose_node)
        print(f"equal to the last bit: {compare(folder / 'pool', folder / 'ray')} results", flush=True)
        throughput(command, folder)


def make_crops(photographs: Path, folder: Path, number: int) -> Crops:
    """Crops of photographs in turn, at random places; one in `BAD_EVERY` is cut short, a text, empty or missing."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = images_in(photographs).images
    rng = np.random.default_rng(0)
    names, bad = [], set()
    for index in range(number):
        path = folder / f"{index:05d}.jpg"
        names.append(path)
        with Image.open(sources[index % len(sources)]) as photograph:
            left, top = (int(rng.integers(side - SIDE + 1)) for side in photograph.size)
            photograph.convert("RGB").crop((left, top, left + SIDE, top + SIDE)).save(path, quality=90)
        if index % BAD_EVERY == BAD_EVERY // 2:
            bad.add(str(path))
            _spoil(path, len(bad))
    return Crops(names, bad)


def _spoil(path: Path, turn: int) -> None:
    content = path.read_bytes()
    contents = (content[: len(content) // 3], b"no image", b"", None)[turn % 4]
    path.unlink() if contents is None else path.write_bytes(contents)


def killed(
    command: list[str], output: Path, crops: Crops, kills: int, lose_node: Callable[[], None] = lambda: None
) -> None:
    """Runs a job that is killed and started again, loses a node before its last start is done, and checks the rest.

    Raises:
        AssertionError: an image is missing, doubled or not named.
    """
    shutil.rmtree(output, ignore_errors=True)
    start = time.perf_counter()
    for turn in range(kills + 1):
        wanted = (turn + 1) * len(crops.names) // (kills + 2)
        with _started(command, output) as process:
            while process.poll() is None and _lines(output) < wanted:
                time.sleep(0.05)
            if turn == kills:
                lose_node()
                said, complaints = process.communicate()
    seconds = time.perf_counter() - start
    assert process.returncode == (2 if crops.bad else 0), complaints
    found, lines = gather(output), _lines(output)
    assert lines == len(found) == len(crops.names), (lines, len(found))
    assert {image for image, line in found.items() if line["status"] == "failed"} == crops.bad
    assert all(f"error: {image}: " in complaints for image in crops.bad)
    stems = [output / line["stem"] for image, line in found.items() if image not in crops.bad]
    wanted_files = sorted(stem.with_name(stem.name + suffix) for stem in stems for suffix in SUFFIXES)
    files = sorted(path for path in output.rglob("*") if path.is_file() and path.parent != output)
    assert files == wanted_files, len(files)
    print(f"{output.name}: {kills} kills, {len(stems)} results once each, {len(crops.bad)} failures named,", end=" ")
    print(f"{seconds:.0f} s; last start: {said.splitlines()[-1].split(';')[1].strip()}", flush=True)


def compare(ours: Path, theirs: Path) -> int:
    """How many images have results, which are equal in both folders, as what was found is.

    Raises:
        AssertionError: something differs.
    """
    first, second = gather(ours), gather(theirs)
    changing = ("seconds", "reason")  # Reasons name no folder, but a lost worker's is another.
    for image in first:
        mine, other = ({k: v for k, v in each[image].items() if k not in changing} for each in (first, second))
        assert mine == other, image
        for suffix in SUFFIXES if mine["status"] == "done" else ():
            one, two = (folder / f"{mine['stem']}{suffix}" for folder in (ours, theirs))
            assert one.read_bytes() == two.read_bytes(), image
    return sum(line["status"] == "done" for line in first.values())


def throughput(command: list[str], folder: Path) -> None:
    """One worker, and one on each core, without kills: images a second between the first line and the last; memory."""
    rates = {}
    for workers in sorted({1, cores()}):
        output = folder / f"alone-{workers}"
        shutil.rmtree(output, ignore_errors=True)
        begin, most = 0.0, 0.0
        before = 4 * workers  # The first images of each worker wait for programs to be compiled.
        with _started([*command, f"--workers={workers}"], output) as process:
            while process.poll() is None:
                if not begin and _lines(output) >= before:
                    begin, before = time.perf_counter(), _lines(output)
                most = max(most, _megabytes(process.pid))
                time.sleep(0.1)
        rates[workers] = (_lines(output) - before) / (time.perf_counter() - begin)
        print(f"{workers} workers: {rates[workers]:.2f} images/s, job {most:.0f} MB", flush=True)
    print(f"throughput: {max(rates.values()) / rates[1] / cores():.2f} x cores x that of one", flush=True)


@contextlib.contextmanager
def cluster() -> Iterator[tuple[str, Callable[[], None]]]:
    """The address of a Ray cluster of two nodes on this machine, and what kills the second."""
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
    }  # Else its workers give way to all others.
    os.environ["PYTHONPATH"] = str(ROOT)  # What its workers import.
    from ray.cluster_utils import Cluster

    nodes: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": max(1, cores() // 2)})
    second = nodes.add_node(num_cpus=max(1, cores() // 2))
    try:
        yield nodes.address, lambda: nodes.remove_node(second, allow_graceful=False)
    finally:
        nodes.shutdown()


@contextlib.contextmanager
def _started(command: list[str], output: Path) -> Iterator[subprocess.Popen[str]]:
    """A job, which is killed in the end."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, f"--output={output}"], cwd=ROOT, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def _lines(output: Path) -> int:
    path = output / "manifest.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _megabytes(process: int) -> float:
    """What the job itself has in memory, without its workers."""
    with contextlib.suppress(OSError):
        if found := re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text()):
            return int(found[1]) / 1024
    return 0.0


if __name__ == "__main__":
    errors.run(main)
