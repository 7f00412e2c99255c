"""Which photographs of a folder can be composed from."""

import hashlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from splice_jax.errors import UserError, one_line
from splice_jax.files import read_bytes, refuse_broken_link
from splice_jax.images import images_in, most_bytes, read_picture, told

SMALLEST_SIDE = 64


def photographs_in(folder: Path, title: str) -> list[Path]:
    """The images directly in a folder, in order of name; says which other files were passed over.

    Raises:
      UserError: there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of {title}")
    found = images_in(folder)
    if not found.images:
        raise UserError(f"{folder}: no {title} right in it; give a folder of images")
    if found.others:
        print(f"note: {folder}: {told(found.others)}", file=sys.stderr)
    return found.images


def usable(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """The photographs that can be used, each with the digest of its file; the others are named and left out."""
    for path in paths:
        try:
            refuse_broken_link(path)
            encoded = read_bytes(path, most=most_bytes())
            refuse_small(read_picture(encoded, name=str(path)).pixels.shape, path)
        except UserError as error:
            print(f"warning: left out: {one_line(error)}", file=sys.stderr)
        else:
            yield path, content(encoded)


def content(encoded: bytes) -> str:
    """32 hexadecimal digits that identify the content of a file."""
    return hashlib.sha256(encoded).hexdigest()[:32]


def refuse_small(shape: tuple[int, ...], path: Path) -> None:
    """Raises UserError if a photograph of this height and width is too small to compose from."""
    if min(shape[:2]) < SMALLEST_SIDE:
        raise UserError(
            f"{path}: {shape[1]} x {shape[0]} pixels; at least {SMALLEST_SIDE} x {SMALLEST_SIDE} are needed"
        )
