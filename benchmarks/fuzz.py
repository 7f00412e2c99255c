"""Mutants of valid files through every reader: none may crash, hang, or be refused by anything but one line.

    python -m benchmarks.fuzz --mutants=100000 [--reader=image] [--seed=0] [--keep=DIR]
    python -m benchmarks.fuzz --seconds=600

Mutants or seconds are shared by the readers. Each works in a process of its own, which a crash ends alone, with 20
megapixels per image, 5 seconds and 1 GiB per file. The counts go to stdout, a line of JSON per reader: files read,
refused and found wanting; the share whose beginning is whole enough for the rest to be looked at; how many a second of
the processor is enough for; and, where coverage.py is installed, the share of branches that were reached.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.fuzzing import bulk, lists, pictures, runs
from benchmarks.fuzzing.covered import measured
from benchmarks.fuzzing.trial import WAITING, Outcome, Trial

READERS = {**pictures.READERS, **runs.READERS, **lists.READERS, **bulk.READERS}
MEGAPIXELS = "20"
_FINE = ("read", "refused")
_FOR_EVER = 3 * WAITING
"""Seconds after which compiled code that does not come back is ended."""
_APART = 10**9
"""Numbers of mutants between two seeds."""


class Share(NamedTuple):
    """What one process is to try."""

    first: int
    """Number of the first mutant."""
    mutants: int
    """At most; so is `seconds`."""
    seconds: float


class Reached(NamedTuple):
    """What a process says at its end."""

    branches: dict[str, float] | None
    """See `covered`."""
    seconds: float
    """Of the processor."""


def fuzz(name: str, folder: Path, share: Share, send: Connection) -> None:
    """Tries mutants and sends the number of each, then its outcome; at last, what was reached."""
    os.environ["SPLICE_JAX_MAX_MEGAPIXELS"] = MEGAPIXELS
    warnings.simplefilter("ignore")  # Those of NumPy and of TIFF's tags say something of the mutant.
    trial = Trial(READERS[name], folder)
    end, begun = time.monotonic() + share.seconds, time.process_time()
    with measured(READERS[name].modules) as branches:
        for number in range(share.first, share.first + share.mutants):
            if time.monotonic() > end:
                break
            send.send(number)
            send.send(trial.outcome(*trial.mutant(number)))
    send.send(Reached(branches(), time.process_time() - begun))


class Counts:
    """Of one reader."""

    def __init__(self, name: str, keep: Path | None) -> None:
        """`keep`: a folder for the mutants that are findings."""
        self.name, self.keep, self.kinds, self.past = name, keep, Counter[str](), 0
        self.findings: dict[str, int] = {}
        self.reached = Reached(None, 0)

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
        return {
            "mutants": total,
            **self.kinds,
            "past": round(self.past / max(1, total), 3),
            "per_second": round(total / self.reached.seconds) if self.reached.seconds else None,
            "findings": self.findings,
            "branches": self.reached.branches,
        }


def run(name: str, mutants: int, seconds: float, seed: int, keep: Path | None = None) -> dict[str, Any]:
    """Tries so many mutants of one reader, or for so long, and starts again behind one that crashes it."""
    counts, end = Counts(name, keep), time.monotonic() + seconds
    number, behind = seed * _APART, seed * _APART + mutants
    while number < behind and (left := end - time.monotonic()) > 0:
        for message in _process(name, Share(number, behind - number, left)):
            if isinstance(message, int):
                number = message
            elif isinstance(message, str):
                counts.add(number, Outcome("crash", True, message))
            elif isinstance(message, Reached):
                counts.reached = message
            else:
                counts.add(number, message)
        number += 1
    return counts.to_json()


def _process(name: str, share: Share) -> Iterator[Any]:
    """What a process of its own sends; last, if it is ended by a signal, which."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=fuzz, args=(name, Path(folder), share, send))
        process.start()
        send.close()
        try:
            while receive.poll(_FOR_EVER):
                yield receive.recv()
            process.kill()
        except EOFError:
            pass
        process.join()
        if process.exitcode == 1:
            raise SystemExit(f"{name}: the benchmark itself failed, see above")
        if process.exitcode:
            yield f"ended with {process.exitcode}"


def main() -> None:
    """Tries all readers, or one, and prints the counts."""
    parser = argparse.ArgumentParser(description="Mutants of valid files through every reader.")
    much = parser.add_mutually_exclusive_group()
    much.add_argument("--mutants", type=int, metavar="N", help="in all")
    much.add_argument("--seconds", type=float, default=60, help="in all")
    parser.add_argument("--reader", choices=READERS, help="one of them alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where mutants that are findings go")
    arguments = parser.parse_args()
    names = [arguments.reader] if arguments.reader else [*READERS]
    for position, name in enumerate(names):
        if arguments.mutants is None:
            mutants, seconds = _APART, arguments.seconds / len(names)
        else:  # The first readers get what is left over.
            mutants, seconds = -(-(arguments.mutants - position) // len(names)), float("inf")
        counts = run(name, mutants, seconds, arguments.seed, arguments.keep)
        print(json.dumps({"reader": name} | counts), flush=True)


if __name__ == "__main__":
    main()
