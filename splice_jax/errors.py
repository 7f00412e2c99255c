"""The one exception for mistakes that users can make and fix, and how an entry point reports it."""

import contextlib
import importlib.metadata
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, NoReturn

_MOST_CHARACTERS = 2000
_SOON = 0.05


class UserError(Exception):
    """One line that names the file or field, what is wrong with it and what to do."""


class Terminated(BaseException):
    """The process was asked to end; raised so that what is unfinished is removed."""


def run(main: Callable[[], int | None]) -> NoReturn:
    """Calls `main` and exits with its code: 2 and one line on stderr after a `UserError`, 130 after Ctrl-C.

    143 after SIGTERM; what an interruption says of itself stands on the line too. Whoever reads stdout may stop
    reading: `main` goes on, and the exit code is its own.
    """
    with _usable_streams(), _handled(signal.SIGTERM, _terminate), _nothing_asked_is_lost():
        try:
            try:
                code = main() or 0
            finally:
                sys.stdout.flush()
        except UserError as error:
            print(f"error: {one_line(error)}", file=sys.stderr)
            code = 2
        except KeyboardInterrupt as interruption:
            code = _told("interrupted", interruption, 130)
        except Terminated as termination:
            code = _told("terminated", termination, 143)
    sys.exit(code)


def _told(what: str, why: BaseException, code: int) -> int:
    print(": ".join([what, *map(str, why.args)]), file=sys.stderr)
    return code


class Stop:
    """Whether somebody asked this process to end, where what it does should first be brought to an end in order."""

    asked: type[BaseException] | None = None
    """What to raise then."""

    def leave(self, message: str) -> NoReturn:
        """Ends as asked, with a message for the one line."""
        raise (self.asked or Terminated)(message)


@contextlib.contextmanager
def stopping() -> Iterator[Stop]:
    """Within the block, SIGTERM and a first Ctrl-C are only noted; a second Ctrl-C ends the process at once."""
    stop = Stop()

    def note(number: int, _: object) -> None:
        if number == signal.SIGINT and stop.asked is not None:
            os.write(2, b"interrupted\n")  # Nothing that could wait for what is interrupted.
            os._exit(130)
        stop.asked = stop.asked or (KeyboardInterrupt if number == signal.SIGINT else Terminated)

    with contextlib.ExitStack() as handlers:
        for number in (signal.SIGTERM, signal.SIGINT):
            handlers.enter_context(_handled(number, note))
        yield stop


@contextlib.contextmanager
def _handled(number: int, handler: Callable[..., object]) -> Iterator[None]:
    """Handles a signal, where this is the main thread, which alone may."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextlib.contextmanager
def _nothing_asked_is_lost() -> Iterator[None]:
    """A signal whose exception fell into a callback that Python lets nothing out of, such as JAX's, is sent again."""
    before = sys.unraisablehook

    def again(lost: Any) -> None:
        number = {KeyboardInterrupt: signal.SIGINT, Terminated: signal.SIGTERM}.get(lost.exc_type)
        if number is None:
            before(lost)
        else:  # Once the callback is over.
            threading.Timer(_SOON, os.kill, (os.getpid(), number)).start()

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextlib.contextmanager
def _usable_streams() -> Iterator[None]:
    streams = sys.stdout, sys.stderr
    with open(os.devnull, "w") as nowhere:  # For a stream that was closed before the start.
        sys.stdout, sys.stderr = _Patient(sys.stdout or nowhere), sys.stderr or nowhere
        try:
            yield
        finally:
            sys.stdout, sys.stderr = streams


def _terminate(*_: object) -> NoReturn:
    raise Terminated


class _Patient:
    """A stream that swallows what is written once nobody reads it, and shows names in any encoding.

    Raises UserError once if it cannot be written to for another reason, such as a full disk.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._abandon(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._abandon(error)

    def _abandon(self, error: OSError) -> None:
        """Leads what follows, and what is left to be written, to nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            reason = (error.strerror or str(error)).lower()
            raise UserError(f"standard output cannot be written to ({reason}); lead it elsewhere") from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


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


@contextlib.contextmanager
def absent(package: str) -> Iterator[None]:
    """Within the block, a package cannot be imported, unless it has been already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def one_line(error: BaseException) -> str:
    """The error's message with all whitespace, including line breaks, collapsed to single spaces, made safe to show.

    What names or values from a file blow up beyond `_MOST_CHARACTERS` is cut in the middle.
    """
    text = shown(" ".join(str(error).split())) or type(error).__name__
    half = _MOST_CHARACTERS // 2
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:half]} ... {text[-half:]}"


def shown(text: object) -> str:
    r"""A file name, or a message with one, on one line: other characters than printable ones are escaped.

    >>> print(shown("a\nb\x1b[31m"), shown("caf\udce9.jpg"))
    a\nb\x1b[31m caf\xe9.jpg
    """
    return "".join(character if character.isprintable() else _escaped(character) for character in str(text))


def _escaped(character: str) -> str:
    """As Python writes it; a byte of a name that is no UTF-8, as that byte."""
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


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
