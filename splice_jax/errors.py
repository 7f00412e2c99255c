"""The one exception for mistakes that users can make and fix, and how an entry point reports it."""

import importlib.metadata
import re
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn


class UserError(Exception):
    """One line that names the file or field, what is wrong with it and what to do."""


def run(main: Callable[[], int | None]) -> NoReturn:
    """Calls `main` and exits with its code: 2 and one line on stderr after a `UserError`, 130 after Ctrl-C."""
    try:
        code = main() or 0
    except UserError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    sys.exit(code)


def require_extra(extra: str) -> None:
    """Checks that an optional part of the package is installed.

    The installed package's metadata say what belongs to it. Without metadata, as in an unpacked archive, nothing is
    checked.

    Raises:
        UserError: a package is missing; the message says how to install it.
    """
    try:
        requirements = importlib.metadata.requires("splice_jax") or []
    except importlib.metadata.PackageNotFoundError:
        return
    ours = [text for text in requirements if re.search(rf"extra == ['\"]{extra}['\"]", text)]
    packages = [re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in ours]
    missing = [package for package in packages if not _is_installed(package)]
    if missing:
        needed = ", ".join(missing)
        raise UserError(f'{needed}: not installed, but needed here; install by: pip install "splice_jax[{extra}]"')


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def one_line(error: BaseException) -> str:
    """The error's message with all whitespace, including line breaks, collapsed to single spaces."""
    return " ".join(str(error).split()) or type(error).__name__


def out_of_memory(error: BaseException) -> bool:
    """Whether the machine or a device ran out of memory; JAX reports the latter only in an error's message."""
    of_device = isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    return of_device or isinstance(error, MemoryError)


def listed(names: Iterable[str], most: int = 6) -> str:
    """The first few names, and how many more there are.

    >>> listed(["conv1", "conv2", "conv3"], most=2)
    'conv1, conv2 and 1 more'
    """
    shown = list(names)
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(printable(name) for name in shown[:most]) + more


def printable(text: str, most: int = 100) -> str:
    """Text from a file, made safe to show: no control characters, and at most `most` characters."""
    shown = "".join(character if character.isprintable() else "?" for character in text[: most + 1])
    return shown if len(shown) <= most else f"{shown[:most]}..."
