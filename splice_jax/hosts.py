"""Several processes that train or evaluate together, on one machine or many: who they are, what they tell each other.

JAX's distributed runtime is the engine: its service, at the coordinator's address, knows who lives and keeps what
processes say to one another. Without `together` there is one process, and every function here does the simplest thing;
JAX is not loaded for it. All processes call `gather` and `meet` in the same order.
"""

import contextlib
import ctypes
import json
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from splice_jax.errors import UserError, one_line

HEARTBEAT_SECONDS = 25
"""Without a sign of life for so long, a process counts as dead."""
_LOOK_EVERY = 1.0
_TO_BE_NAMED = 45.0
"""Seconds that an error of communication waits for the service to say whose death it came from."""
_DAYS = 7 * 24 * 60 * 60 * 1000
"""Milliseconds to wait for one another: images and machines differ, and who is dead is found otherwise."""
AUTO = "auto"
GONE = "its own last line says why; start all processes again with the same command, what was saved is kept"

Item = TypeVar("Item")


class _Group(NamedTuple):
    number: int
    size: int
    client: Any
    """The distributed runtime's; JAX has no public name for it."""


_group: _Group | None = None
_rounds = 0


def index() -> int:
    """This process's number, from 0."""
    return _group.number if _group else 0


def count() -> int:
    """Number of processes."""
    return _group.size if _group else 1


def is_first() -> bool:
    """Whether this is process 0, which writes and prints for all."""
    return index() == 0


def share(items: Iterable[Item]) -> list[Item]:
    """This process's part: every `count()`-th item, so that parts differ by at most one; together, they are all."""
    return [item for number, item in enumerate(items) if number % count() == index()]


def gather(value: Any) -> list[Any]:
    """What every process says, in the order of processes; JSON, so numbers come back exactly."""
    if _group is None:
        return [value]
    name = _next_round()
    _group.client.key_value_set(f"{name}/{_group.number:06d}", json.dumps(value))
    _group.client.wait_at_barrier(f"{name}/said", _DAYS)
    said = sorted(_group.client.key_value_dir_get(f"{name}/"))
    _group.client.wait_at_barrier(f"{name}/heard", _DAYS)
    if is_first():
        _group.client.key_value_delete(f"{name}/")
    return [json.loads(text) for _, text in said]


def meet() -> None:
    """Waits for all processes."""
    if _group is not None:
        _group.client.wait_at_barrier(_next_round(), _DAYS)


def require_shared(folder: Path) -> None:
    """Raises UserError if the processes do not all see the same folder."""
    if _group is None:
        return
    mark = folder / f".shared.{gather(secrets.token_hex(8))[0]}.partial"  # A name that is swept where it stays behind.
    if is_first():
        mark.touch()
    meet()
    seen = gather(mark.exists())
    if is_first():
        mark.unlink(missing_ok=True)
    if not all(seen):
        blind = ", ".join(str(number) for number, sees in enumerate(seen) if not sees)
        raise UserError(
            f"{folder}: not the same folder for process {blind} as for process 0; name one that all machines share"
        )


def _next_round() -> str:
    global _rounds
    _rounds += 1
    return f"splice_jax/{_rounds}"


@contextlib.contextmanager
def together(coordinator: str = "", processes: int | None = None, process: int | None = None) -> Iterator[None]:
    """Joins the other processes for a block; only process 0 prints to stdout, and all leave the block together.

    If a process dies, the others end within a minute, with exit code 2 and a line that names it.

    Args:
        coordinator: HOST:PORT of process 0, "auto" to have JAX find it from the cluster (Slurm, Open MPI, Kubernetes,
            TPU pods), or "" for a process of its own.
        processes: their number; None with "auto".
        process: this one's number; None with "auto".

    Raises:
        UserError: the flags contradict each other, or the processes do not find each other.
    """
    global _group
    check(coordinator, processes, process)
    if not coordinator:
        yield
        return
    _group = _joined(coordinator, processes, process)
    done = threading.Event()
    try:
        with contextlib.ExitStack() as redirected:
            if not is_first():
                redirected.enter_context(contextlib.redirect_stdout(redirected.enter_context(open(os.devnull, "w"))))
            threading.Thread(target=_watch, args=(_group, done), daemon=True).start()
            redirected.enter_context(_aborting())
            try:
                _connect()
                yield
                meet()
                done.set()
                _leave(_group)
            except Exception as error:
                if not _of_communication(error):
                    raise
                time.sleep(_TO_BE_NAMED)  # `_watch` or `_aborting` ends the process as soon as it is known who is gone.
                raise UserError(f"another process is gone ({one_line(error)[:200]}); {GONE}") from error
    finally:
        done.set()
        _group = None


def check(coordinator: str, processes: int | None, process: int | None) -> None:
    """Checks the arguments of `together`, without JAX.

    Raises:
        UserError: they contradict each other.
    """
    if coordinator in ("", AUTO):
        if processes is not None or process is not None:
            raise UserError("--num-processes, --process-id: need --coordinator=HOST:PORT, the address of process 0")
        return
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserError(f"--coordinator: {coordinator!r} is neither HOST:PORT nor {AUTO}")
    if processes is None or process is None:
        raise UserError("--coordinator: give --num-processes and --process-id with it")
    if not 0 <= process < processes:
        raise UserError(f"--process-id: {process} is not from 0 to {processes - 1}")


def _joined(coordinator: str, processes: int | None, process: int | None) -> _Group:
    import jax
    from jax._src.distributed import global_state

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # Its handler of SIGTERM would take the place of ours; `training.step.Vote` does the same work.
    jax.config.update("jax_enable_preemption_service", False)
    # Otherwise the runtime aborts the survivors of a dead process before they can say a word; `_watch` ends them.
    jax.config.update("jax_enable_recoverability", True)
    address = None if coordinator == AUTO else coordinator
    try:
        jax.distributed.initialize(
            address, num_processes=processes, process_id=process, heartbeat_timeout_seconds=HEARTBEAT_SECONDS
        )
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"--coordinator={coordinator}: the processes did not find each other ({one_line(error)[:200]}); "
            "start as many as --num-processes says, each with its own --process-id and all with the same address"
        ) from error
    if jax.device_count() != jax.process_count() * jax.local_device_count():
        raise UserError("--num-processes: all processes need the same number of devices; set --config.cpu_devices")
    return _Group(jax.process_index(), jax.process_count(), global_state.client)


def _connect() -> None:
    """Sums over all devices once: what connects them fails if a process comes 30 s late, as one that compiles may."""
    import jax

    meet()
    total = jax.pmap(lambda one: jax.lax.psum(one, "devices"), "devices")(np.ones(jax.local_device_count()))
    jax.block_until_ready(total)


def _leave(group: _Group) -> None:
    """Process 0, with the service, goes last."""
    import jax

    started = time.monotonic()
    while is_first() and len(group.client.get_live_nodes(list(range(group.size)))) > 1:
        if time.monotonic() - started > HEARTBEAT_SECONDS:
            break
        time.sleep(0.05)
    jax.distributed.shutdown()


def _watch(group: _Group, done: threading.Event) -> None:
    """Ends this process once another is gone: what it waits for will not come."""
    everyone = range(group.size)
    while not done.wait(_LOOK_EVERY):
        try:
            living = set(group.client.get_live_nodes(list(everyone)))
        except Exception:  # The service itself, in process 0, does not answer.
            living = {*everyone} - {0}
        if (gone := sorted({*everyone} - living)) and not done.is_set():
            _end(f"process {', '.join(map(str, gone))} of {group.size} is gone")


@contextlib.contextmanager
def _aborting() -> Iterator[None]:
    """Where the runtime aborts this process, the last line is ours: it does so as soon as process 0 is gone."""
    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda _: _end("process 0 is gone, or JAX's runtime failed"))
    set_handler = ctypes.CDLL(None).signal  # Python's own handlers wait for the main thread, and `abort` does not.
    set_handler.argtypes, set_handler.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    before = set_handler(signal.SIGABRT, ctypes.cast(handler, ctypes.c_void_p))
    try:
        yield
    finally:
        set_handler(signal.SIGABRT, before)


def _end(what: str) -> None:
    """Ends this process from any thread, whatever the others wait for."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    os.write(2, f"error: {what}; {GONE}\n".encode())
    os._exit(2)


def _of_communication(error: Exception) -> bool:
    """Whether an error may come from another process's death."""
    of_runtime = type(error).__name__ == "JaxRuntimeError" and "RESOURCE_EXHAUSTED" not in str(error)
    return of_runtime or any(engine in str(error) for engine in ("Gloo", "NCCL"))  # `pmap` may make a ValueError of it.
