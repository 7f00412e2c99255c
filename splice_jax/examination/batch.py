"""Examines photographs one after another and writes a page and a JSON document of each."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from splice_jax.errors import UserError, one_line
from splice_jax.examination.looking import RowResult
from splice_jax.examination.output.document import document, encode
from splice_jax.examination.output.page import page
from splice_jax.examination.output.view import View, view
from splice_jax.examination.photograph import Examination, examine_encoded
from splice_jax.examination.rows import Rows
from splice_jax.files import read_bytes, replacing
from splice_jax.localize.results import named

SUFFIXES = (".examination.html", ".examination.json")


def examine_files(photographs: Mapping[Path, Path], rows: Rows) -> int:
    """Examines every photograph and writes its page and document; those that fail are named on stderr.

    Args:
        photographs: files, each with the path that its results' names start with, as `find_images` gives them.
        rows: as `load_rows` gives them.

    Returns:
        how many photographs failed.
    """
    failed = 0
    for photograph, stem in photographs.items():
        try:
            examination = examine_file(photograph, stem, rows)
        except UserError as error:
            print(f"error: {one_line(error)}", file=sys.stderr, flush=True)
            failed += 1
        else:
            line = f"{photograph}: {examination.verdict.headline}; see {named(stem, SUFFIXES[0])}"
            print(line.encode(errors="backslashreplace").decode(), flush=True)  # File names need not be UTF-8.
    return failed


class Made(NamedTuple):
    """An examination and its two files."""

    examination: Examination
    """Without maps: each is given up as soon as its pictures are made."""
    page: str
    document: str


def make(
    encoded: bytes,
    name: str,
    rows: Rows,
    *,
    title: str = "",
    progress: Callable[[RowResult], None] = lambda result: None,
) -> Made:
    """Examines the bytes of a file, and makes its page and document; arguments and errors as `examine_encoded`."""
    views: dict[str, View] = {}

    def see(result: RowResult) -> None:
        progress(result)  # First: whoever waits need not wait for its pictures on the page.
        views[result.name] = view(result, main=bool(rows.main and result.name == rows.main.name))

    examination = examine_encoded(encoded, name, rows, title=title, progress=see, keep_maps=False)
    ordered = [views[row.name] for row in examination.rows]
    content = document(examination, [each.entry for each in ordered])
    return Made(examination, page(examination, ordered, content), encode(content))


def examine_file(photograph: Path, stem: Path, rows: Rows) -> Examination:
    """Examines one photograph and writes STEM.examination.html and STEM.examination.json.

    The returned examination has no maps.

    Raises:
        UserError: the photograph cannot be read, or the results cannot be written.
    """
    made = make(read_bytes(photograph), photograph.name, rows, title=str(photograph))
    write(made, stem)
    return made.examination


def write(made: Made, stem: Path) -> None:
    """Writes STEM.examination.html and STEM.examination.json.

    Raises:
        Unwritable: they cannot be written.
    """
    for suffix, text in zip(SUFFIXES, (made.page, made.document), strict=True):
        with replacing(named(stem, suffix)) as beside:
            beside.write_text(text, encoding="utf-8", errors="backslashreplace")  # Names need not be UTF-8.
