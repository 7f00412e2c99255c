"""The photographs that were handed in: a bounded queue, and what is known of each.

Uploads and results lie in unnamed temporary files: the system frees them when the process ends, however it ends, and no
name of a visitor's is the name of a file.
"""

import datetime
import secrets
import sys
import tempfile
import threading
import traceback
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from splice_jax.errors import UserError, one_line, printable
from splice_jax.files import replacing
from splice_jax.serve.limits import Limits
from splice_jax.serve.worker import Results, Worker

UPLOADING, WAITING, LOOKING, DONE, FAILED = "uploading", "waiting", "looking", "done", "failed"
RESULTS = ("html", "json")


class Busy(Exception):
    """As many photographs are waiting as there may be."""


@dataclass(eq=False)
class Job:
    """One photograph."""

    id: str
    """Unguessable: whoever knows it may see the results."""
    name: str
    """What the visitor's file is called, safe to show; never part of a path."""
    file: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    """The photograph, until it has been examined; then the results, one behind the other."""
    state: str = UPLOADING
    rows: list[dict[str, Any]] = field(default_factory=list)
    """See `child.row_message`, in the order in which rows came in."""
    headline: str = ""
    level: str = ""
    reason: str = ""
    """Why it failed."""
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Where in the file the results begin, and their sizes in bytes, by `RESULTS`."""


class Jobs:
    """Takes photographs in and examines them one after another; every method may be called from any thread."""

    def __init__(self, worker: Worker, limits: Limits, keep: Path | None = None) -> None:
        """Starts the thread that hands photographs to the worker.

        Args:
            worker: examines them.
            limits: see `Limits`.
            keep: a folder that results are also written to.
        """
        self.rows = worker.rows
        self._worker, self._limits, self._keep = worker, limits, keep
        self._jobs: dict[str, Job] = {}
        self._queue: deque[Job] = deque()
        self._finished: deque[Job] = deque()
        self._changed, self._closed = threading.Condition(), False
        self._thread = threading.Thread(target=self._examine_all, daemon=True)
        self._thread.start()

    def reserve(self, name: str) -> Job:
        """A place in the queue for a photograph whose upload begins; `submit` or `withdraw` it.

        Raises:
            Busy: there is none.
        """
        with self._changed:
            if len(self._jobs) - len(self._finished) >= self._limits.waiting:
                raise Busy
            job = Job(secrets.token_urlsafe(16), printable(name) or "photograph")
            self._jobs[job.id] = job
            return job

    def withdraw(self, job: Job) -> None:
        """Gives a photograph up whose upload failed."""
        with self._changed:
            self._forget(job)

    def submit(self, job: Job) -> None:
        """Puts an uploaded photograph at the end of the queue."""
        with self._changed:
            job.state = WAITING
            self._queue.append(job)
            self._changed.notify()

    def progress(self, id: str, seen: int) -> dict[str, Any] | None:
        """What is known of a photograph, with those of its rows that came after the first `seen`; None if nothing."""
        with self._changed:
            job = self._jobs.get(id)
            if job is None or job.state == UPLOADING:
                return None
            ahead = self._queue.index(job) if job.state == WAITING else 0
            known = {name: getattr(job, name) for name in ("name", "state", "headline", "level", "reason")}
            return {**known, "ahead": ahead, "of": len(self.rows), "rows": job.rows[seen:]}

    def result(self, id: str, kind: str) -> bytes | None:
        """A page or document; None where there is none (yet, or any more)."""
        with self._changed:
            job = self._jobs.get(id)
            if job is None or job.state != DONE or kind not in job.places:
                return None
            start, size = job.places[kind]
            job.file.seek(start)
            return job.file.read(size)

    def close(self) -> None:
        """Ends the examination in progress and gives all photographs up."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._worker.stop()
        self._thread.join()
        with self._changed:
            for job in list(self._jobs.values()):
                self._forget(job)

    def _examine_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if self._closed:
                    return
                job = self._queue.popleft()
                job.state = LOOKING
            reason = ""
            try:
                self._examine(job)
            except UserError as error:
                reason = one_line(error)
            except OSError as error:  # Of its file.
                reason = f"no room for its results ({error.strerror})"
            except Exception as error:  # A mistake of ours must not take those along that wait.
                traceback.print_exc()
                reason = f"a mistake of this program ended the examination ({type(error).__name__})"
            with self._changed:
                self._finish(job, reason)

    def _finish(self, job: Job, reason: str) -> None:
        job.reason, job.state = reason, FAILED if reason else DONE
        if reason:
            job.file.close()
        self._finished.append(job)
        if len(self._finished) > self._limits.kept:
            self._forget(self._finished.popleft())

    def _examine(self, job: Job) -> None:
        def see(row: dict[str, Any]) -> None:
            with self._changed:
                job.rows.append(row)

        job.file.seek(0)
        found = self._worker.examine(job.name, job.file.read(), see)
        job.file.seek(0)
        job.file.truncate()
        for kind, content in zip(RESULTS, (found.page, found.document), strict=True):
            job.places[kind] = job.file.tell(), len(content)
            job.file.write(content)
        job.file.flush()
        job.headline, job.level = found.headline, found.level
        self._keep_results(job, found)

    def _keep_results(self, job: Job, found: Results) -> None:
        if self._keep is None:
            return
        stem = f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{job.id}"
        try:
            for kind, content in zip(RESULTS, (found.page, found.document), strict=True):
                with replacing(self._keep / f"{stem}.examination.{kind}") as beside:
                    beside.write_bytes(content)
        except UserError as error:  # The visitor's page is there all the same.
            print(f"error: {one_line(error)}", file=sys.stderr, flush=True)

    def _forget(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        job.file.close()
