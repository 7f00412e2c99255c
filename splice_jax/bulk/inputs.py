"""Which images a job is about: names from a list or a folder, one at a time, however many there are.

Names are not trusted: they may be any bytes, and only their hash and harmless characters get into the names of results.
"""

import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from splice_jax.errors import UserError
from splice_jax.images import listing

FOLDER_SIZE = 1000
"""Images whose results share a folder, and folders that share one."""
LONGEST = 65_536
"""Bytes of a line of a list; no system has longer paths."""

_CHUNK = 2**20


class Shard(NamedTuple):
    """One of `parts` parts of a job; which images belong to it is decided by their paths alone."""

    number: int = 0
    """From 0 on."""
    parts: int = 1

    def holds(self, image: str) -> bool:
        """Whether an image belongs to it."""
        return self.parts == 1 or int.from_bytes(digest(image)[:8]) % self.parts == self.number


WHOLE = Shard()


def digest(image: str) -> bytes:
    """SHA-256 of a path's bytes."""
    return hashlib.sha256(os.fsencode(image)).digest()


def stem_of(position: int, image: str) -> str:
    """What an image's results' names start with, from its position in the list or folder and its path.

    No two paths have the same, it has no separator but its own two, and each folder gets `FOLDER_SIZE` positions.

    >>> stem_of(1_234_567, "/photographs/../a b.jpg")
    '0001/234/a_b-e8556a9d45183d7f'
    """
    folder = position // FOLDER_SIZE
    shown = re.sub(r"[^A-Za-z0-9_-]+", "_", os.path.splitext(os.path.basename(image))[0])[:40].lstrip("-")
    return f"{folder // FOLDER_SIZE:04d}/{folder % FOLDER_SIZE:03d}/{shown}-{digest(image).hex()[:16]}"


STEM = re.compile(r"\d{4,}/\d{3}/[A-Za-z0-9_][A-Za-z0-9_-]{0,39}-[0-9a-f]{16}|\d{4,}/\d{3}/-[0-9a-f]{16}")
"""What `stem_of` gives."""


def in_list(path: str) -> Iterator[str]:
    """The absolute paths of a list, in order: one on each line, from the current folder; - is stdin.

    A list with a zero byte near its beginning has zero bytes between names, as `find -print0` writes it: then names may
    hold line breaks. Empty lines are passed over; nothing is a comment.

    Raises:
        UserError: the list cannot be read, or is none.
    """
    here = os.getcwd()
    try:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as file:
            for name in _split(file, path):
                yield _absolute(here, os.fsdecode(name))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{path}: cannot be read ({reason}); give a list of images") from error


def in_folder(folder: Path, output: Path, others: Counter[str]) -> Iterator[str]:
    """The absolute paths of the images in a folder and below it, in order of name within each folder.

    Args:
        folder: links to folders in it are not followed, hidden files and folders passed over.
        output: where results go; not searched.
        others: counts, by suffix, files that are no images.

    Raises:
        UserError: a folder cannot be searched.
    """

    def refuse(error: OSError) -> None:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{error.filename}: cannot be searched for images ({reason}); leave it out") from error

    if not os.path.isdir(folder):
        raise UserError(f"{folder}: no folder; give a folder of images, or a list by --from-list")
    results = os.path.realpath(output)
    for place, folders, files in os.walk(os.path.abspath(folder), onerror=refuse):
        for name in sorted(files):
            found = listing([Path(place, name)])
            others.update(found.others)
            yield from map(str, found.images)
        visible = [name for name in sorted(folders) if not name.startswith(".")]
        folders[:] = [name for name in visible if os.path.realpath(os.path.join(place, name)) != results]


def refuse_irregular(image: str) -> os.stat_result:
    """What the system says of a file; a pipe or device, which need never end, is none.

    Raises:
        UserError: there is no such file, or it is none.
    """
    try:
        found = os.stat(image)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise UserError(f"cannot be opened ({reason}); check the path") from error
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or device"
        raise UserError(f"{kind}, not a file; give the files in it" if kind == "a folder" else f"{kind}, not a file")
    return found


def _absolute(here: str, name: str) -> str:
    """One path for one name of a file; `..` is followed as the system would, through links."""
    folder, base = os.path.split(os.path.join(here, name))
    folder = os.path.realpath(folder) if ".." in folder.split("/") else os.path.normpath(folder)
    return os.path.join(folder, base)


def _split(file: IO[bytes], title: str) -> Iterator[bytes]:
    chunk = file.read(_CHUNK)
    if chunk.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UserError(f"{title}: is in UTF-16; save it as UTF-8")
    rest, number = chunk.removeprefix(b"\xef\xbb\xbf"), 0
    between = b"\0" if b"\0" in chunk else b"\n"
    while chunk:
        if len(chunk) == _CHUNK and not chunk.strip(b"\0\r\n"):  # A hole, which may be terabytes long.
            raise UserError(f"{title}: holds a mebibyte without a name; give a list of images, one on each line")
        *whole, rest = rest.split(between)
        for name in _names(whole, between):
            number += 1
            yield _short(name, title, number)
        _short(rest, title, number + 1)
        chunk = file.read(_CHUNK)
        rest += chunk
    for name in _names([rest], between):
        yield _short(name, title, number + 1)


def _names(lines: Iterable[bytes], between: bytes) -> Iterator[bytes]:
    for line in lines:
        name = line.removesuffix(b"\r") if between == b"\n" else line
        if name:
            yield name


def _short(name: bytes, title: str, number: int) -> bytes:
    if len(name) > LONGEST:
        raise UserError(f"{title}: name {number} has over {LONGEST:,} bytes; give a list of images, one on each line")
    return name
