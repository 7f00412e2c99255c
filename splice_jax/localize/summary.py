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
def summary(output: Path, images: Iterable[Path]) -> Iterator[Callable[[Outcome], None]]:
    """Begins a folder's summary, and gives what adds a line to it.

    Lines of an earlier call stay, but for those of the images that are localized now. A new line is in the file at
    once: a call that is killed leaves the lines of what it has done.

    Raises:
        UserError: the summary cannot be written.
    """
    path, anew = output / FILE_NAME, {str(image) for image in images}
    kept = [line for line in _earlier(path) if line[0] not in anew]
    with replacing(path) as beside:
        beside.write_bytes(b"".join(map(_line, [Outcome._fields, *kept])))
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
        output: the folder of the results, and of the summary of earlier calls.
        methods: of which results are to be written.

    Raises:
        UserError: they would, or another file has the summary's name.
    """
    by_stem: dict[str, set[str]] = {}
    for image, method, *_ in _earlier(output / FILE_NAME):
        for name in {Path(image).stem, Path(image).name}:
            by_stem.setdefault(name, set()).add(method)
    for stem in images.values() if len(methods) == 1 else ():
        earlier = by_stem.get(stem.name, set())
        if len(earlier) == 1 and earlier != set(methods) and any(named(stem, each).exists() for each in SUFFIXES):
            other = earlier.pop()
            raise UserError(
                f"{output}: holds results of {other} under the same names; choose another folder, or give both methods "
                f"in one call: --method={other},{methods[0]}"
            )


def _earlier(path: Path) -> list[list[str]]:
    """The lines of earlier calls; none where there was none."""
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return []
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{path}: cannot be read ({reason}); choose another folder") from error
    try:
        lines = list(csv.reader(text.splitlines(keepends=True)))
    except csv.Error:  # A field of over 131,072 characters, or a quotation without end.
        lines = []
    if not lines or tuple(lines[0]) != Outcome._fields:
        raise UserError(f"{path}: is no summary of localized images and would be replaced; choose another folder")
    return [line for line in lines[1:] if len(line) == len(Outcome._fields)]


def _rounded(outcome: Outcome) -> Outcome:
    share, seconds = outcome.marked_share, outcome.seconds
    return outcome._replace(
        marked_share=None if share is None else round(share, 6), seconds=None if seconds is None else round(seconds, 3)
    )


def _line(values: Iterable[object]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue().encode("utf-8", "surrogateescape")  # File names need not be UTF-8.
