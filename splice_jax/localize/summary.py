"""`summary.csv`: one line per image and method."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from splice_jax.errors import UserError
from splice_jax.files import replacing
from splice_jax.localize.results import SUFFIXES, Outcome, named

FILE_NAME = "summary.csv"


@contextmanager
def summary(output: Path) -> Iterator[Callable[[Outcome], None]]:
    """Replaces the summary in a folder, and yields a function that adds a line to the new one.

    Lines are written immediately: a call that is killed leaves the lines of what it has done.

    Raises:
        UserError: the summary cannot be written.
    """
    path = output / FILE_NAME
    with replacing(path) as beside:
        beside.write_bytes(_line(Outcome._fields))
    with open(path, "ab", buffering=0) as file:

        def add(outcome: Outcome) -> None:
            try:
                file.write(_line(_rounded(outcome)))
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise UserError(f"{path}: cannot be written to ({reason}); choose another folder") from error

        yield add


def refuse_mixing(images: Mapping[Path, Path], output: Path, methods: Sequence[str]) -> None:
    """Checks that a single method's results, whose names do not include it, do not replace another method's.

    Args:
        images: see `inputs.find_images`.
        output: the folder for the results, perhaps with the summary of an earlier call.
        methods: the methods whose results are to be written.

    Raises:
        UserError: they would, or another file has the summary's name.
    """
    earlier = _methods_in(output / FILE_NAME)
    if len(methods) > 1 or len(earlier) != 1 or earlier == set(methods):
        return
    other = earlier.pop()
    if any(named(stem, suffix).exists() for stem in images.values() for suffix in SUFFIXES):
        raise UserError(
            f"{output}: holds results of {other} under the same names; choose another folder, or give both methods in "
            f"one call: --method={other},{methods[0]}"
        )


def _methods_in(path: Path) -> set[str]:
    """The methods of an earlier call; empty if there was none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return set()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{path}: cannot be read ({reason}); choose another folder") from error
    if lines[:1] != [",".join(Outcome._fields)]:
        raise UserError(f"{path}: is no summary of localized images and would be replaced; choose another folder")
    return {line[1] for line in csv.reader(lines[1:]) if len(line) > 1}


def _rounded(outcome: Outcome) -> Outcome:
    share, seconds = outcome.marked_share, outcome.seconds
    return outcome._replace(
        marked_share=None if share is None else round(share, 6), seconds=None if seconds is None else round(seconds, 3)
    )


def _line(values: Iterable[object]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue().encode("utf-8", "surrogateescape")  # File names need not be UTF-8.
