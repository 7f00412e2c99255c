"""What a bulk job survives: SIGKILLs, on its own processes and on a Ray cluster, of which a node is killed too.

    python -m benchmarks.bulk --photographs=DIR --folder=DIR [--images=300] [--timed=1000] [--method=sgt] [--kills=5]

Makes crops of 256 x 256 pixels of the photographs in a folder, as JPEG, with one bad file in a hundred; localizes them
twice, killing and starting again; and checks that every good one has its results exactly once, that every bad one is
named, and that both ways gave the same to the last bit. Then times one worker and as many as cores, which nobody kills,
on the first `--timed` crops. Prints the memory of all processes together. Needs `[ray]`.

What is done stays in the folder: the same command goes on where it was stopped, with the crop and the kill that come
next, and passes over stages that were finished.
"""

import argparse
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks import processes
from splice_jax import errors
from splice_jax.bulk.manifest import gather
from splice_jax.errors import UserError, require_extra
from splice_jax.files import replacing, writable_folder
from splice_jax.images import images_in
from splice_jax.workers import cores

SIDE = 256
BAD_EVERY = 100
SUFFIXES = (".probability.png", ".mask.png", ".overlay.png")
ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "from splice_jax.cli import main; main()", "localize"]
BYTES = 400_000
"""Room on disk for the results of a crop, both ways; more than they take."""


class Crops(NamedTuple):
    """Files to localize."""

    names: list[Path]
    bad: set[str]


def main() -> None:
    """Makes crops, localizes them both ways, checks, times, prints."""
    flags = argparse.ArgumentParser(prog="python -m benchmarks.bulk", description=__doc__)
    flags.add_argument("--photographs", type=Path, required=True, metavar="DIR", help="at least 256 x 256 pixels each")
    flags.add_argument("--folder", type=Path, required=True, metavar="DIR", help="where crops and results go and stay")
    flags.add_argument("--images", type=int, default=300, metavar="N", help="(default 300)")
    flags.add_argument("--timed", type=int, default=1000, metavar="N", help="of them (default 1000)")
    flags.add_argument("--method", default="sgt", metavar="NAME", help="(default sgt)")
    flags.add_argument("--kills", type=int, default=5, metavar="N", help="of the job, each way (default 5)")
    given = flags.parse_args()
    require_extra("ray")
    folder = writable_folder(given.folder).absolute()
    if shutil.disk_usage(folder).free < given.images * BYTES and not (folder / "stages.json").exists():
        raise UserError(f"{folder}: needs {given.images * BYTES / 1e9:.1f} GB; choose a folder with more room")
    stages = Stages(folder, {name: str(value) for name, value in vars(given).items() if name != "folder"})
    crops = make_crops(given.photographs, folder / "crops", given.images)
    print(f"{len(crops.names)} crops, {len(crops.bad)} of them bad, row {given.method}, {cores()} cores", flush=True)
    command = [*COMMAND, f"--from-list={_list(folder / 'list', crops.names)}", f"--method={given.method}"]
    if not stages.told("pool"):
        killed(command, folder / "pool", crops, given.kills, stages)
    if not stages.told("ray"):
        with cluster() as (address, lose_node):
            killed([*command, f"--ray={address}"], folder / "ray", crops, given.kills, stages, lose_node)
    print(f"equal to the last bit: {compare(folder / 'pool', folder / 'ray')} results", flush=True)
    timing = crops.names[: given.timed]
    command[-2] = f"--from-list={_list(folder / 'timed', timing)}"
    rates = {}
    for workers in sorted({1, cores()}):
        if not stages.told(f"alone-{workers}"):
            timed(command, folder / f"alone-{workers}", workers, len(timing), stages)
        rates[workers] = stages.of(f"alone-{workers}")["rate"]
    print(f"throughput: {max(rates.values()) / rates[1] / cores():.2f} x cores x that of one", flush=True)


class Stages:
    """What was done and found, in a file."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        """Reads what an earlier call with the same settings left.

        Raises:
            UserError: its settings were others.
        """
        self._path = folder / "stages.json"
        self._all: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else {}
        if self._all.setdefault("settings", settings) != settings:
            raise UserError(f"{folder}: holds a benchmark with {self._all['settings']}; choose a new folder")

    def of(self, name: str) -> dict[str, Any]:
        """What is known of a stage."""
        found: dict[str, Any] = self._all.get(name, {})
        return found

    def told(self, name: str) -> bool:
        """Whether a stage was finished by an earlier call; if so, prints its figures."""
        if said := self.of(name).get("said"):
            print(f"{said} (earlier)", flush=True)
        return bool(said)

    def keep(self, name: str, **found: Any) -> None:
        """Adds to what is known of a stage; once it is finished, prints what is `said` of it."""
        self._all[name] = self.of(name) | found
        with replacing(self._path) as beside:
            beside.write_text(json.dumps(self._all, indent=1))
        if "said" in found:
            print(found["said"], flush=True)


def make_crops(photographs: Path, folder: Path, number: int) -> Crops:
    """Crops of photographs in turn, at random places; one in `BAD_EVERY` is cut short, a text, empty or missing.

    Those that are there already stay as they are.

    Raises:
        UserError: a photograph is smaller than a crop, or there is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sources = images_in(photographs).images
    if not sources:
        raise UserError(f"{photographs}: no photographs in it; name another folder by --photographs")
    rng = np.random.default_rng(0)
    names, bad = [], set()
    for index in range(number):
        path = folder / f"{index:05d}.jpg"
        names.append(path)
        if is_bad := index % BAD_EVERY == BAD_EVERY // 2:
            bad.add(str(path))
        with Image.open(sources[index % len(sources)]) as photograph:
            if min(photograph.size) < SIDE:
                raise UserError(f"{sources[index % len(sources)]}: is smaller than {SIDE} x {SIDE}; leave it out")
            left, top = (int(rng.integers(side - SIDE + 1)) for side in photograph.size)
            if not path.exists():
                crop = photograph.convert("RGB").crop((left, top, left + SIDE, top + SIDE))
                encoded = io.BytesIO()
                crop.save(encoded, "JPEG", quality=90)
                content = encoded.getvalue()
                turn = len(bad) % 4 if is_bad else -1
                if turn != 3:
                    with replacing(path) as beside:
                        beside.write_bytes({0: content[: len(content) // 3], 1: b"no image", 2: b""}.get(turn, content))
    return Crops(names, bad)


def _list(path: Path, names: list[Path]) -> Path:
    path.write_bytes(b"\0".join(os.fsencode(name) for name in names) + b"\0")
    return path


def killed(
    command: list[str],
    output: Path,
    crops: Crops,
    kills: int,
    stages: Stages,
    lose_node: Callable[[], None] = lambda: None,
) -> None:
    """Runs a job that is killed and started again, loses a node before its last start is done, and checks the rest.

    Raises:
        RuntimeError: the job ended by itself before it was killed.
        AssertionError: an image is missing, doubled or not named.
    """
    name, number = output.name, len(crops.names)
    before = stages.of(name)
    seconds, memory = before.get("seconds", 0.0), before.get("memory", 0.0)
    for turn in range(before.get("kills", 0), kills + 1):
        with Job(command, output) as job:
            ended = job.wait((turn + 1) * number // (kills + 2))
            if turn < kills and ended:
                raise RuntimeError(f"{name}: ended by itself: {job.complaints()}")
            if turn == kills:
                lose_node()
                job.wait()
        seconds, memory = seconds + job.seconds, max(memory, job.memory)
        stages.keep(name, kills=min(turn + 1, kills), seconds=seconds, memory=memory)
        if turn < kills:
            print(f"{name}: kill {turn + 1} at {job.lines} of {number}, {seconds:.0f} s, {memory:.0f} MB", flush=True)
    complaints = job.complaints()
    assert job.process.returncode == (2 if crops.bad else 0), complaints
    found = gather(output)
    assert job.lines == len(found) == number, (job.lines, len(found))
    assert {image for image, line in found.items() if line["status"] == "failed"} == crops.bad
    assert all(f"error: {image}: " in complaints for image in crops.bad)
    stems = [output / line["stem"] for image, line in found.items() if image not in crops.bad]
    wanted_files = sorted(stem.with_name(stem.name + suffix) for stem in stems for suffix in SUFFIXES)
    files = sorted(path for path in output.rglob("*") if path.is_file() and path.parent != output)
    assert files == wanted_files, len(files)
    said = f"{name}: {kills} kills, {len(stems)} results once each, {len(crops.bad)} failures named, {seconds:.0f} s, "
    said += f"all processes {memory:.0f} MB; last start: {job.said().splitlines()[-1].split(';')[1].strip()}"
    stages.keep(name, said=said)


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


def timed(command: list[str], output: Path, workers: int, number: int, stages: Stages) -> None:
    """So many workers without kills: images a second from the first lines to the last of `number`; memory."""
    shutil.rmtree(output, ignore_errors=True)
    with Job([*command, f"--workers={workers}"], output) as job:
        job.wait(4 * workers)  # The first images of each worker wait for programs to be compiled.
        begin, before = time.perf_counter(), job.lines
        job.wait(number)
        rate = (job.lines - before) / (time.perf_counter() - begin)
        job.wait()
    said = f"{workers} workers: {rate:.2f} images/s, the job itself {job.own:.0f} MB, all processes {job.memory:.0f} MB"
    stages.keep(output.name, rate=rate, said=said)


class Job:
    """A job in a process, which is killed in the end; what it says goes to files, since pipes fill up."""

    def __init__(self, command: list[str], output: Path) -> None:
        """Starts it."""
        self._output = output
        self._says = [output.with_name(f"{output.name}.{stream}") for stream in ("stdout", "stderr")]
        self._read = 0
        self.lines = 0
        """Of the manifest."""
        self.memory = self.own = self.seconds = 0.0
        """The most that all processes below this one, or the job itself, had in memory, in MB; seconds it ran."""
        self._sampled = 0.0
        self._begun = time.perf_counter()
        with open(self._says[0], "w") as out, open(self._says[1], "w") as error:
            self.process = subprocess.Popen([*command, f"--output={output}"], cwd=ROOT, stdout=out, stderr=error)

    def __enter__(self) -> "Job":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.seconds = time.perf_counter() - self._begun
        self._count()

    def wait(self, lines: float = float("inf")) -> bool:
        """Waits until the manifest has as many lines, or the job ends; returns whether it has ended."""
        while (ended := self.process.poll() is not None) is False and self.lines < lines:
            time.sleep(0.05)
            self._count()
            if time.perf_counter() - self._sampled > 1:
                self._sampled = time.perf_counter()
                self.own = max(self.own, processes.megabytes(self.process.pid))
                self.memory = max(self.memory, sum(map(processes.megabytes, processes.below(os.getpid()))))
        self._count()
        return ended

    def said(self) -> str:
        """What it wrote to stdout."""
        return self._says[0].read_text()

    def complaints(self) -> str:
        """What it wrote to stderr."""
        return self._says[1].read_text()

    def _count(self) -> None:
        with contextlib.suppress(FileNotFoundError), open(self._output / "manifest.jsonl", "rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
            if whole:
                self._read += len(whole) + 1
                self.lines += whole.count(b"\n") + 1


@contextlib.contextmanager
def cluster() -> Iterator[tuple[str, Callable[[], None]]]:
    """The address of a Ray cluster of two nodes on this machine, and what kills the second."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}  # Else its workers give way to all.
    os.environ["PYTHONPATH"] = str(ROOT)  # What its workers import.
    from ray.cluster_utils import Cluster

    node = {"num_cpus": max(1, cores() // 2), "object_store_memory": 100_000_000}
    nodes: Any = Cluster(initialize_head=True, head_node_args=node)
    second = nodes.add_node(**node)
    try:
        yield nodes.address, lambda: nodes.remove_node(second, allow_graceful=False)
    finally:
        nodes.shutdown()


if __name__ == "__main__":
    errors.run(main)
