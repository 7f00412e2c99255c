"""A reader of files that people hand in, as the fuzzer sees it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple


class Reader(NamedTuple):
    """A reader, and what it takes to try it."""

    files: Callable[[Path], Mapping[str, bytes]]
    """Makes valid files in a folder, or gives them: name -> content. Each in turn is replaced by its mutants."""
    read: Callable[[Path], object]
    """Reads a file; raises UserError if it is refused."""
    past: Callable[[bytes], bool]
    """Whether what comes first in a file is whole enough for the rest to be looked at."""
    modules: tuple[str, ...]
    """Where its code is, in splice_jax."""


def is_text(content: bytes) -> bool:
    """Whether a file is UTF-8."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_json(content: bytes) -> bool:
    """Whether a file is JSON."""
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True
