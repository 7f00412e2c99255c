"""Serves the page until it is told to stop."""

import contextlib
import ipaddress
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from splice_jax.errors import UserError
from splice_jax.files import writable_folder
from splice_jax.serve.app import application
from splice_jax.serve.guard import LOOPBACK, allowed_hosts
from splice_jax.serve.jobs import Jobs
from splice_jax.serve.limits import Limits
from splice_jax.serve.worker import Worker

if TYPE_CHECKING:
    from splice_jax.examination.rows import Rows

PORT = 8000
_CONNECTIONS = 200
"""Open at the same time; more are answered 503."""
_LAST_ANSWERS = 2
"""Seconds that requests in progress may take when the server stops."""


class Server(uvicorn.Server):
    """A server on an open socket; signals are left to whoever runs it."""

    def __init__(self, config: uvicorn.Config, bound: socket.socket, address: str) -> None:
        super().__init__(config)
        self.address = address
        """What to enter in a browser."""
        self._bound = bound

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(self._bound.getsockname()[0]).is_loopback

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none: uvicorn would raise SIGTERM again at the end, before what has to be tidied up is."""
        yield

    def serve_until_stopped(self) -> None:
        """Serves until `stop` is called."""
        self.run(sockets=[self._bound])

    def stop(self) -> None:
        """Stops serving; from any thread or signal handler."""
        self.should_exit = True


@contextlib.contextmanager
def opened(
    load: Callable[[], "Rows"],
    *,
    host: str = "",
    port: int = PORT,
    keep: Path | None = None,
    limits: Limits | None = None,
) -> Iterator[Server]:
    """A server whose worker has loaded its rows; afterwards nothing of it is left but what `keep` holds.

    Args:
        load: gives the rows, in the worker's process; it can be pickled.
        host: a name or address of this machine that browsers will use; 127.0.0.1 by default.
        port: 0 for any that is free.
        keep: a folder that results are written to as well; None for nowhere.
        limits: see `Limits`.

    Raises:
        UserError: the address cannot be used, the folder cannot be written to, or the rows cannot be loaded.
    """
    limits = limits or Limits()
    if keep is not None:
        writable_folder(keep)
    with contextlib.ExitStack() as stack:
        bound = stack.enter_context(_bound(host or "127.0.0.1", port))
        port = bound.getsockname()[1]
        name = f"[{host}]" if ":" in host else host or "127.0.0.1"
        worker = Worker(load, limits)
        stack.callback(worker.stop)
        worker.start()
        jobs = Jobs(worker, limits, keep)
        stack.callback(jobs.close)
        config = uvicorn.Config(
            application(jobs, limits, allowed_hosts({*LOOPBACK, name}, port)),
            loop="asyncio",  # This and the next, so that it does not matter what else is installed.
            http="h11",
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,  # Names of photographs are nobody's business.
            server_header=False,
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=_LAST_ANSWERS,
        )
        yield Server(config, bound, f"http://{name}:{port}/")


def serve(load: Callable[[], "Rows"], *, host: str, port: int, keep: Path | None, limits: Limits) -> None:
    """Serves until SIGINT, SIGTERM or SIGHUP; arguments and errors as `opened`."""
    with opened(load, host=host, port=port, keep=keep, limits=limits) as server:
        if host and not server.is_loopback:
            line = (
                f"whoever reaches {server.address} can have photographs examined here, without a password or encryption"
            )
            print(f"warning: {line}", file=sys.stderr, flush=True)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: server.stop())
        print(f"{server.address} (Ctrl-C stops it)", flush=True)
        server.serve_until_stopped()


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.create_server(address[:2], family=family, backlog=100)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"{host}, port {port}: cannot be served on ({reason}); choose another --host or --port"
        ) from error
    if ipaddress.ip_address(bound.getsockname()[0]).is_unspecified:
        bound.close()
        raise UserError(f"{host}: give the address or name that browsers will use, since no other is answered")
    return bound
