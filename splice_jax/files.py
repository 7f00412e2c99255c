"""Reading whole files, and writing them so that readers see the old file or the new one, never part of one."""

import contextlib
import errno
import fcntl
import json
import os
import re
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from splice_jax.errors import UserError

STALE_AFTER = 24 * 60 * 60.0
"""Seconds after which unfinished work without a lock counts as abandoned."""
_SWEEP_EVERY = 60.0
"""Seconds between sweeps of a folder: searching a large one for every file written would take too long."""

_PIECE = 2**24
"""Bytes read from a pipe at a time."""

_UNFINISHED = re.compile(r"(?P<key>\..*\.[0-9a-f]{16})\.(?:lock|partial(?:\.[^.]*)?)", re.DOTALL)
_UNLOCKED = re.compile(r"(?P<key>\..*\.\d+)\.partial(?:\.[^.]*)?", re.DOTALL)
"""How versions before 0.2 named unfinished work: by process number."""

_swept: dict[Path, float] = {}


class Unwritable(UserError):
    """A folder or file that cannot be written: what is tried there next will most likely fail as well."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path next to `path` to write to; it replaces `path` on success and is removed on failure.

    The temporary name keeps the suffix and is unique to this call. Missing parent folders are created. The caller may
    write a folder there, which can only replace an empty folder or nothing. Unfinished work that killed processes left
    in the folder is removed.

    Raises:
      Unwritable: the folder of `path` cannot be created or written to, or `path` cannot be replaced.
    """
    path = Path(path)
    folder = writable_folder(path.parent).absolute()
    now = time.monotonic()
    if now - _swept.get(folder, -_SWEEP_EVERY) >= _SWEEP_EVERY:
        _swept[folder] = now
        sweep(folder)
    try:
        with _reserved(path) as beside:
            try:
                yield beside
                os.replace(beside, path)
            finally:
                _remove(beside)
    except OSError as error:
        way_out = "shorten it" if error.errno == errno.ENAMETOOLONG else "choose another folder or free this one"
        raise Unwritable(f"{path.parent}: cannot write {path.name} there ({_reason(error)}); {way_out}") from error


@contextmanager
def alone(path: str | Path) -> Iterator[None]:
    """Waits until no other process of this machine makes `path`, which every one of them would make the same.

    Without locks, as on some network file systems, or where nothing can be written, it does not wait.
    """
    lock = Path(path).with_name(f".{Path(path).name[:40]}.{'0' * 16}.lock")  # `sweep` knows such names.
    with contextlib.ExitStack() as opened:
        while True:
            try:
                file = opened.enter_context(open(lock, "ab"))
            except OSError:
                break
            _lock(file, wait=True)
            if _is_at(file, lock):  # Otherwise the one before has removed it.
                opened.callback(lock.unlink, missing_ok=True)
                break
        yield


def _is_at(file: IO[bytes], path: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def sweep(folder: str | Path) -> None:
    """Removes unfinished work that killed processes left in a folder, but nothing that is being written.

    A process holds a lock while it writes, which the system releases however the process ends. Without locks, as on
    some network file systems, unfinished work counts as abandoned once it is older than a day.
    """
    folder = Path(folder)
    found: dict[str, list[Path]] = {}
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            match = _match(name)
            if match:
                found.setdefault(match["key"], []).append(folder / name)
    for key, paths in found.items():
        with contextlib.suppress(OSError):  # Another process may be sweeping, or the files may be another user's.
            _sweep_one(folder / f"{key}.lock", paths)


def is_unfinished(name: str) -> bool:
    """Whether this is a name that `replacing` gives to unfinished work."""
    return _match(name) is not None


def read_bytes(path: str | Path, *, name: str = "", most: int = sys.maxsize) -> bytes:
    """The content of a file, read once; errors call it `name`, or by its path.

    Raises:
      UserError: it cannot be opened or read, or has more than `most` bytes.
    """
    title = name or str(path)
    try:
        with open(path, "rb") as file:
            state = os.fstat(file.fileno())
            if stat.S_ISREG(state.st_mode):
                content, size = file.read() if state.st_size <= most else b"", state.st_size
            else:
                content = b"".join(_pieces(file, most))
                size = len(content)
        if size > most:
            raise UserError(f"{title}: more than {most / 2**30:.1f} GiB, larger than any photograph; leave it out")
        return content
    except MemoryError as error:
        raise UserError(f"{title}: out of memory when it was read; scale it down") from error
    except OSError as error:
        refuse_broken_link(path)
        if address := re.fullmatch(r"([a-z][a-z0-9+.-]*):/+(.*)", str(path), re.DOTALL):  # Paths lose the second slash.
            whole = "://".join(address.groups())
            if address[1] == "file":
                raise UserError(f"{title}: an address, not a path; give /{address[2]}") from error
            raise UserError(f"{title}: an address, not a file; fetch {whole} first and give the file") from error
        raise UserError(f"{title}: cannot be opened ({_reason(error)}); check the path") from error


def parsed_json(text: str | bytes) -> Any:
    """What JSON says.

    Raises:
      ValueError: it is none, or nested so deep that Python's parser gives up.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _pieces(file: IO[bytes], most: int) -> list[bytes]:
    """What a pipe or device gives, which need not end, up to a little more than `most` bytes."""
    pieces, read = [], 0
    while read <= most and (piece := file.read(_PIECE)):
        pieces.append(piece)
        read += len(piece)
    return pieces


def refuse_broken_link(path: str | Path) -> None:
    """Raises UserError if a path is a broken symbolic link."""
    if os.path.islink(path) and not os.path.exists(path):  # Unlike pathlib, False in folders that may not be entered.
        raise UserError(f"{path}: a link to {os.readlink(path)}, which is not there; mend or remove the link")


def writable_folder(folder: str | Path) -> Path:
    """Creates `folder` if it is missing.

    Raises:
      Unwritable: it cannot be created, is not a folder or cannot be written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(None, "permission denied")
    except OSError as error:
        raise Unwritable(f"{folder}: no folder that can be written to ({_reason(error)}); choose another") from error
    return folder


@contextmanager
def _reserved(path: Path) -> Iterator[Path]:
    """A name next to `path` that no other call uses, with a lock that marks it as in use."""
    while True:
        key = f".{path.stem[:40]}.{secrets.token_hex(8)}"  # Cut, since names have a maximum length.
        lock = path.with_name(f"{key}.lock")
        with open(lock, "xb") as file:
            _lock(file, wait=True)
            if not lock.exists():  # It was swept before it could be locked.
                continue
            try:
                yield path.with_name(f"{key}.partial{path.suffix}")
            finally:
                lock.unlink(missing_ok=True)
            return


def _sweep_one(lock: Path, paths: list[Path]) -> None:
    """Removes the files of one call if its process is gone, the lock last."""
    with contextlib.ExitStack() as opened:
        held = None
        with contextlib.suppress(FileNotFoundError):
            held = _lock(opened.enter_context(open(lock, "r+b")), wait=False)
        if held is None:
            held = time.time() - max(path.lstat().st_mtime for path in paths) > STALE_AFTER
        if held:
            for path in paths:
                if path != lock:
                    _remove(path)
            lock.unlink(missing_ok=True)


def _lock(file: IO[bytes], *, wait: bool) -> bool | None:
    """Whether an open file could be locked; None if locks are unavailable. Closing the file releases it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _match(name: str) -> re.Match[str] | None:
    return _UNFINISHED.fullmatch(name) or _UNLOCKED.fullmatch(name)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
