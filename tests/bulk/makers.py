"""Makers for tests, which worker processes can import."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

from splice_jax.bulk.tasks import DONE, SKIPPED, Made, Make
from splice_jax.errors import UserError
from splice_jax.files import Unwritable, replacing


class Obey(NamedTuple):
    """Does what a file says: its first word is good, bad, blank, die, die-once, wrong, slow, hang or full."""

    word: str = "obey"

    def describe(self) -> dict[str, Any]:
        return {"command": self.word}

    def load(self) -> Make:
        if self.word == "unable":
            raise UserError("no such model")
        return obey


def obey(encoded: bytes, name: str, stem: Path) -> Made:
    word = encoded.split()[0]
    once = stem.with_name("died")
    if word == b"bad":
        raise UserError(f"{name}: broken")
    if word == b"die" or (word == b"die-once" and not once.exists()):
        with replacing(stem.with_name(stem.name + ".txt")) as beside:
            beside.write_text("unfinished")
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    if word == b"wrong":
        raise IndexError("seven")
    if word == b"slow":
        time.sleep(0.3)
    if word == b"hang":
        with replacing(stem.with_name(stem.name + ".txt")) as beside:
            beside.write_text("unfinished")
            time.sleep(600)
    if word == b"full":
        raise Unwritable("out: cannot write there (no space left on device)")
    if word == b"blank":
        return Made(SKIPPED, "nothing to say")
    with replacing(stem.with_name(stem.name + ".txt")) as beside:
        beside.write_bytes(encoded.upper())
    settings = {name: os.environ.get(name) for name in ("JAX_PLATFORMS", "OMP_NUM_THREADS")}
    return Made(DONE, "", {"obey": {"score": len(encoded) / 100, "cores": _cores(), **settings}})


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a manifest."""
    return [json.loads(line) for line in path.read_text().splitlines()]
