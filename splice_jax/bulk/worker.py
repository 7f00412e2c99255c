"""What runs in a worker, whoever started it: one core, one device, one maker, one image at a time.

Nothing numeric is imported here before `prepare` was called: libraries choose their threads when they are imported.
"""

import contextlib
import hashlib
import os
import pickle
import re
import socket
import sys
import time
import traceback
from pathlib import Path

from splice_jax.bulk.tasks import FAILED, UNCHANGED, Answer, Make, Maker, Task
from splice_jax.errors import UserError, one_line, out_of_memory, shown

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Worker:
    """A loaded maker; `answer` works on one task."""

    def __init__(self, maker: bytes, output: str) -> None:
        """Loads a pickled maker; `prepare` comes first. Raises UserError if it cannot be loaded."""
        import splice_jax.images  # noqa: F401, else the first image's time would pay for it

        loading: Maker = pickle.loads(maker)
        self._make: Make = loading.load()
        self._output = Path(output)

    def answer(self, task: Task) -> Answer:
        """Works on one task. Raises `Unwritable` if results cannot be written, which concerns the whole job."""
        from splice_jax.bulk.inputs import refuse_irregular
        from splice_jax.files import Unwritable, read_bytes
        from splice_jax.images import most_bytes

        start = time.perf_counter()
        known = Answer(FAILED)
        try:
            state = refuse_irregular(task.image)
            encoded = read_bytes(task.image, most=most_bytes())
            known = Answer(FAILED, "", hashlib.sha256(encoded).hexdigest(), len(encoded), state.st_mtime_ns)
            if known.sha256 == task.finished:
                return known._replace(status=UNCHANGED)
            made = self._make(encoded, task.image, self._output / task.stem)
        except Unwritable:
            raise
        except UserError as error:
            return known._replace(reason=one_line(error).removeprefix(f"{shown(task.image)}: "))
        except Exception as error:
            return known._replace(reason=_mistake(error))
        seconds = round(time.perf_counter() - start, 3)
        return known._replace(status=made.status, reason=made.reason, found=made.found, seconds=seconds)


def prepare(gpu: str = "") -> None:
    """Gives this process one core and one JAX device, so that as many workers as cores do not disturb each other.

    Args:
        gpu: the GPU to work on instead, as CUDA numbers it.
    """
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    if gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    else:
        os.environ["JAX_PLATFORMS"] = "cpu"
        _claim_core()
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = re.sub(r"--xla_force_host_platform_device_count=\d+", "", flags).strip()


_claimed: list[socket.socket] = []


def _claim_core() -> None:
    """Binds this process to a core that no other worker on this machine has, where there is one; else to any.

    JAX then makes one CPU device (`runtime`), whatever starts the worker, so that results agree to the last bit.

    A core is claimed by a socket of an abstract name, which goes with the process and leaves no file.
    """
    if sys.platform != "linux":
        return
    cores = sorted(os.sched_getaffinity(0))
    chosen = cores[os.getpid() % len(cores)]
    for core in cores:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0splice_jax/core/{core}")
        except OSError:
            claim.close()
            continue
        _claimed.append(claim)
        chosen = core
        break
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {chosen})


def _mistake(error: Exception) -> str:
    """A failure that nobody foresaw must not end the job; where it comes from helps to mend it."""
    if out_of_memory(error):
        return "out of memory; scale the image down, or use fewer workers"
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"a mistake of this program: {type(error).__name__}: {one_line(error)} ({place.name}, line {place.lineno})"
