"""The manifest: a line for each image that is finished, from which a job that was stopped goes on.

Lines are only added, each by one call of the system, after the image's results are complete. A process that is killed
leaves at most one half of a line, which the next start takes away. What is known of all images lies in a database on
disk that has no name and is gone with its process, so that memory does not grow with the number of images.
"""

import contextlib
import fcntl
import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from splice_jax.bulk.inputs import STEM, Shard, digest
from splice_jax.bulk.tasks import DONE, FAILED, SKIPPED, Answer, Task
from splice_jax.errors import UserError, shown
from splice_jax.files import writable_folder

_LONGEST = 2**20
"""Bytes of a line; paths and reasons are far shorter."""


class Known(NamedTuple):
    """What the manifest says of an image: its newest line."""

    stem: str
    status: str
    reason: str
    sha256: str
    bytes: int | None
    mtime_ns: int | None


def file_name(shard: Shard) -> str:
    """Each shard has a file of its own: no two machines write into one.

    >>> file_name(Shard()), file_name(Shard(3, 100))
    ('manifest.jsonl', 'manifest-00003-of-00100.jsonl')
    """
    return "manifest.jsonl" if shard.parts == 1 else f"manifest-{shard.number:05d}-of-{shard.parts:05d}.jsonl"


class Manifest:
    """The manifest of one job or shard, open and locked."""

    def __init__(self, path: Path) -> None:
        """Opens it, or begins it; mends the end that a killed process left.

        Raises:
            UserError: another job is at it, it cannot be written to, or it is no manifest.
        """
        self.path = path
        writable_folder(path.parent)
        with contextlib.ExitStack() as opened:
            try:
                self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
            except OSError as error:
                raise self._unwritable(error) from error
            opened.callback(os.close, self._file)
            self._lock()
            self._known = sqlite3.connect("", isolation_level=None)  # No name: a temporary file that nobody else sees.
            opened.callback(self._known.close)
            self._known.execute("PRAGMA journal_mode=OFF")
            self._known.execute("PRAGMA cache_size=-65536")  # KiB; what does not fit is on disk.
            self._known.execute("BEGIN")
            columns = "stem TEXT, status TEXT, reason TEXT, sha256 TEXT, bytes INT, mtime_ns INT"
            self._known.execute(f"CREATE TABLE known (key BLOB PRIMARY KEY, {columns}) WITHOUT ROWID")
            self._known.execute("CREATE TABLE met (key BLOB PRIMARY KEY) WITHOUT ROWID")
            self._read()
            self.close = opened.pop_all().close

    def meet(self, image: str) -> bool:
        """Whether this is the first time that an image is met since the manifest was opened."""
        with self._room():
            return self._known.execute("INSERT OR IGNORE INTO met VALUES (?)", (digest(image),)).rowcount == 1

    def known(self, image: str) -> Known | None:
        """What the newest line about an image says."""
        with self._room():
            found = self._known.execute(f"SELECT {', '.join(Known._fields)} FROM known WHERE key = ?", (digest(image),))
            row = found.fetchone()
        return Known(*row) if row else None

    def add(self, task: Task, answer: Answer) -> None:
        """Adds a line about an image, unless it would say what the newest one about it does.

        Raises:
            UserError: the line cannot be written; nothing of it is in the file then.
        """
        before, now = self.known(task.image), _known(task.stem, answer._asdict())
        if before and before[:4] == now[:4]:
            return
        line = json.dumps({"image": task.image, "stem": task.stem} | answer._asdict(), allow_nan=False) + "\n"
        self._write(line.encode("ascii"))
        self._remember(digest(task.image), now)

    def _write(self, line: bytes) -> None:
        size = os.fstat(self._file).st_size
        try:
            if not os.fstat(self._file).st_nlink:
                raise UserError(f"{self.path}: was removed while the job ran; leave it there and start again")
            if os.write(self._file, line) != len(line):
                raise OSError(None, "no space left on device")
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, size)
            raise self._unwritable(error) from error

    def _lock(self) -> None:
        """Held as long as the process lives; file systems without locks do without."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{self.path}: another job writes it; wait for its end, or choose another output folder"
            ) from None
        except OSError:
            print(
                f"warning: {shown(self.path)}: cannot be locked there; see that no other job uses it", file=sys.stderr
            )

    def _read(self) -> None:
        end = 0
        with open(self._file, "rb", closefd=False) as file:
            for number, line in enumerate(_lines(file), 1):
                if len(line) > _LONGEST:
                    raise UserError(f"{self.path}: line {number} is too long for a manifest; choose another folder")
                if not line.endswith(b"\n"):
                    break
                end += len(line)
                if entry := _entry(line):
                    self._remember(digest(entry[0]), entry[1])
                elif number == 1:
                    raise UserError(f"{self.path}: is no manifest of a bulk job; choose another folder")
                else:
                    said = f"warning: {shown(self.path)}: line {number} is damaged; its image is taken as new"
                    print(said, file=sys.stderr)
        if end < os.fstat(self._file).st_size:
            os.ftruncate(self._file, end)

    def _remember(self, key: bytes, known: Known) -> None:
        with self._room():
            self._known.execute("INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?, ?, ?, ?)", (key, *known))

    @contextlib.contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise UserError(f"TMPDIR: no room for what is known of all images ({error}); set it to another") from error

    def _unwritable(self, error: OSError) -> UserError:
        reason = (error.strerror or str(error)).lower()
        return UserError(f"{self.path}: cannot be written to ({reason}); free space or choose another folder")


def gather(output: Path) -> dict[str, dict[str, Any]]:
    """The newest line about each image in the manifests of all shards, by image."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(output.glob("manifest*.jsonl")):
        with open(path, "rb") as file:
            for line in _lines(file):
                if entry := _entry(line):
                    found[entry[0]] = json.loads(line)
    return found


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Lines; of one that is too long, pieces."""
    return iter(lambda: file.readline(_LONGEST + 1), b"")


def _entry(line: bytes) -> tuple[str, Known] | None:
    """The image that a line is about and what it says; None if it is damaged."""
    try:
        fields = json.loads(line)
        image, known = fields["image"], _known(fields["stem"], fields)
        os.fsencode(image)
        "".join(known[:4]).encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    texts = (image, known.stem, known.reason, known.sha256)
    numbers = (known.bytes, known.mtime_ns)
    sound = all(isinstance(text, str) for text in texts) and known.status in (DONE, FAILED, SKIPPED)
    sound = sound and all(number is None or (type(number) is int and abs(number) < 2**63) for number in numbers)
    return (image, known) if sound and STEM.fullmatch(known.stem) else None


def _known(stem: str, fields: dict[str, Any]) -> Known:
    return Known(stem, *(fields[name] for name in Known._fields[1:]))
