"""Mutants of valid files through every reader: none may crash, hang, or be refused by anything but one line.

    python -m benchmarks.fuzz --seconds=600 [--reader=image] [--seed=0] [--keep=DIR]

Each reader works in a process of its own, which a crash ends alone, with 20 megapixels per image, 5 seconds and 1 GiB
per file. The counts go to stdout, a line of JSON per reader: files read, refused and found wanting; the share whose
beginning is whole enough for the rest to be looked at; and, where coverage.py is installed, the share of branches that
a tenth of the time reaches.
"""

import argparse
import importlib.util
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.fuzzing import lists, pictures, runs
from benchmarks.fuzzing.trial import Outcome, Trial

READERS = {**pictures.READERS, **runs.READERS, **lists.READERS}
MEGAPIXELS = "20"
_FINE = ("read", "refused")


def fuzz(name: str, folder: Path, seconds: float, first: int, send: Connection) -> None:
    """Tries mutants from number `first` on and sends the number of each, then its outcome."""
    os.environ["SPLICE_JAX_MAX_MEGAPIXELS"] = MEGAPIXELS
    trial, end, number = Trial(READERS[name], folder), time.monotonic() + seconds, first
    while time.monotonic() < end:
        send.send(number)
        send.send(trial.outcome(*trial.mutant(number)))
        number += 1


def covered(name: str, folder: Path, seconds: float, first: int, send: Connection) -> None:
    """Sends the share of the branches of every module of a reader that mutants reach; None without coverage.py."""
    if importlib.util.find_spec("coverage") is None:
        send.send(None)
        return
    coverage: Any = importlib.import_module("coverage")
    os.environ["SPLICE_JAX_MAX_MEGAPIXELS"] = MEGAPIXELS
    measured = coverage.Coverage(branch=True, data_file=None, source_pkgs=["splice_jax"])
    measured.set_option("run:disable_warnings", ["module-not-measured"])  # What is in functions is.
    trial, end, number = Trial(READERS[name], folder), time.monotonic() + seconds, first
    measured.start()
    while time.monotonic() < end:
        trial.outcome(*trial.mutant(number))
        number += 1
    measured.stop()
    shares = {}
    for module in READERS[name].modules:
        numbers = measured._analyze(sys.modules[f"splice_jax.{module}"].__file__).numbers
        shares[module] = round((numbers.n_branches - numbers.n_missing_branches) / max(1, numbers.n_branches), 3)
    send.send(shares)


class Counts:
    """Of one reader."""

    def __init__(self, name: str, keep: Path | None) -> None:
        """`keep`: a folder for the mutants that are findings."""
        self.name, self.keep, self.kinds, self.past = name, keep, Counter[str](), 0
        self.findings: dict[str, int] = {}

    def add(self, number: int, outcome: Outcome) -> None:
        """Counts a mutant."""
        self.kinds[outcome.kind] += 1
        self.past += outcome.past
        if (
            outcome.kind not in _FINE
            and self.findings.setdefault(f"{outcome.kind}: {outcome.said[:160]}", number) == number
        ):
            print(f"{self.name} {number}: {outcome.kind}: {outcome.said[:300]}", file=sys.stderr, flush=True)
            if self.keep:
                self.keep.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory() as place:
                    trial = Trial(READERS[self.name], Path(place))
                    name, content = trial.mutant(number)
                (self.keep / f"{self.name}-{number}-{Path(name).name}").write_bytes(content)

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        total = self.kinds.total()
        return {"mutants": total, **self.kinds, "past": round(self.past / max(1, total), 3), "findings": self.findings}


def run(name: str, seconds: float, seed: int, keep: Path | None = None) -> dict[str, Any]:
    """Tries one reader for so long, and starts again behind a mutant that crashes it."""
    counts, end, number = Counts(name, keep), time.monotonic() + 0.9 * seconds, seed * 10**9
    while (left := end - time.monotonic()) > 0:
        for message in _process(fuzz, name, left, number):
            if isinstance(message, int):
                number = message
            elif isinstance(message, str):
                counts.add(number, Outcome("crash", True, message))
            else:
                counts.add(number, message)
        number += 1
    branches = [*_process(covered, name, 0.1 * seconds, seed * 10**9)]
    return counts.to_json() | {"branches": branches[0] if branches else None}


def _process(target: Any, name: str, seconds: float, number: int) -> Any:
    """What a process of its own sends; last, if it is ended by a signal, which."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=target, args=(name, Path(folder), seconds, number, send))
        process.start()
        send.close()
        try:
            while True:
                yield receive.recv()
        except EOFError:
            process.join()
        if process.exitcode:
            yield f"ended with {process.exitcode}"


def main() -> None:
    """Tries all readers, or one, and prints the counts."""
    parser = argparse.ArgumentParser(description="Mutants of valid files through every reader.")
    parser.add_argument("--seconds", type=float, default=60, help="in all")
    parser.add_argument("--reader", choices=READERS, help="one of them alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where mutants that are findings go")
    arguments = parser.parse_args()
    names = [arguments.reader] if arguments.reader else [*READERS]
    for name in names:
        counts = run(name, arguments.seconds / len(names), arguments.seed, arguments.keep)
        print(json.dumps({"reader": name} | counts), flush=True)


if __name__ == "__main__":
    main()
