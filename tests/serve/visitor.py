"""A server in a thread, a visitor who speaks HTTP to it, and rows that its worker can load."""

import http.client
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np

from splice_jax.errors import UserError
from splice_jax.examination.rows import Rows
from splice_jax.methods import Found, Localizer
from splice_jax.serve.limits import Limits
from splice_jax.serve.server import Server, opened

FATAL, SLOW, MISTAKEN = 11, 12, 13
"""Levels of the first pixel that end the worker's process, take for ever, and meet a mistake of the program's."""


class Slope(Localizer):
    """Rises from left to right and is marked from the middle on; misbehaves where the first pixel says so."""

    def __init__(self, name: str) -> None:
        self.name, self.looks_for = name, "a slope"

    def __call__(self, image):
        first = int(image[0, 0, 0]) if image[0, 0, 1] == image[0, 0, 2] == 0 else 0
        if first == FATAL:
            os.kill(os.getpid(), signal.SIGKILL)
        if first == SLOW:
            time.sleep(600)
        if first == MISTAKEN:
            raise ZeroDivisionError("on purpose")
        probability = np.broadcast_to(np.linspace(0, 1, image.shape[1], dtype=np.float32), image.shape[:2])
        return Found(np.array(probability), np.array(probability >= 0.5))


def rows(pause: float = 0) -> Rows:
    """Two rows, after a pause."""
    time.sleep(pause)
    return Rows(None, [Slope("one"), Slope("two")])


def no_rows() -> Rows:
    """What loading a run does that is not there."""
    raise UserError("there is no such run")


class Answer(NamedTuple):
    """What the server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


class Visitor:
    """Asks a server as the page does."""

    def __init__(self, server: Server) -> None:
        self.place = server.address.removeprefix("http://").rstrip("/")
        self.origin = server.address.rstrip("/")

    def ask(self, method: str, path: str, body: Any = None, **changed: str) -> Answer:
        """One request; `changed` headers replace those of the page, and an empty one is left out."""
        headers = {"Host": self.place} | ({"Origin": self.origin} if method != "GET" else {}) | changed
        connection = http.client.HTTPConnection(self.place, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True)
            for name, value in headers.items():
                if value:
                    connection.putheader(name.replace("_", "-"), value)
            if body is not None and "Content_Length" not in changed:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read())
        finally:
            connection.close()

    def get(self, path: str, **changed: str) -> Answer:
        """As the page's own requests."""
        return self.ask("GET", path, **changed)

    def upload(self, body: bytes, name: str | bytes = "photo.jpg", **changed: str) -> Answer:
        """Hands a photograph in."""
        return self.ask("POST", f"/photographs?name={quote(name)}", body, **changed)

    def hand_in(self, body: bytes, name: str | bytes = "photo.jpg") -> str:
        """The id of a photograph that was taken."""
        answer = self.upload(body, name)
        assert answer.status == 202, answer
        return json.loads(answer.body)["id"]

    def progress(self, id: str) -> dict[str, Any]:
        """What is known of a photograph."""
        return json.loads(self.get(f"/progress?of={id}:0").body)[id]

    def finished(self, id: str, seconds: float = 60) -> dict[str, Any]:
        """What is known of a photograph when it is done or has failed."""
        deadline = time.monotonic() + seconds
        while (told := self.progress(id))["state"] not in ("done", "failed"):
            assert time.monotonic() < deadline, told
            time.sleep(0.02)
        return told


@contextmanager
def visited(load: Any = rows, *, keep: Path | None = None, **limits: int) -> Iterator[Visitor]:
    """A visitor of a server on a free port."""
    with opened(partial(load), port=0, keep=keep, limits=Limits(**limits)) as server:
        thread = Thread(target=server.serve_until_stopped)
        thread.start()
        try:
            yield Visitor(server)
        finally:
            server.stop()
            thread.join()
