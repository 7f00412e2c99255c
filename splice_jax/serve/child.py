"""What runs in the worker's process: it takes photographs from a pipe and answers with what is found in them.

Messages are JSON in UTF-8, since unpickling what a process sends that decodes strangers' files would run its code. Of a
photograph, the name comes first and the file second; the answers are messages of these kinds:

    ready     the names of all rows, once, before the first photograph
    row       what one row found, as soon as it is there
    done      the verdict; the page and the document follow as they are
    failed    why there is no examination
"""

import json
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from splice_jax.errors import UserError, one_line, out_of_memory
from splice_jax.examination.batch import Made, make
from splice_jax.examination.looking import RowResult
from splice_jax.examination.output import pictures
from splice_jax.examination.output.view import percent
from splice_jax.examination.rows import Rows
from splice_jax.serve.costs import refuse_costly
from splice_jax.serve.limits import Limits

MAP_SIDE = 160
"""Pixels along the longest side of the small maps that are shown while rows come in."""


def answer(pipe: Connection, load: Callable[[], Rows], limits: Limits) -> None:
    """Answers until the other end is closed."""
    try:
        rows = load()
    except UserError as error:
        _tell(pipe, kind="failed", reason=one_line(error))
        return
    _tell(pipe, kind="ready", rows=[row.name for row in rows.all])
    while True:
        try:
            name, encoded = pipe.recv_bytes().decode(), pipe.recv_bytes()
        except EOFError:
            return
        _examine(pipe, name, encoded, rows, limits)


def _examine(pipe: Connection, name: str, encoded: bytes, rows: Rows, limits: Limits) -> None:
    def see(result: RowResult) -> None:
        _tell(pipe, kind="row", **row_message(result))

    try:
        made = _made(name, encoded, rows, limits, see)
    except UserError as error:
        _tell(pipe, kind="failed", reason=one_line(error).removeprefix(f"{name}: "))
        return
    judged = made.examination.verdict
    _tell(pipe, kind="done", headline=judged.headline, level=judged.level)
    pipe.send_bytes(made.page.encode())
    pipe.send_bytes(made.document.encode())


def _made(name: str, encoded: bytes, rows: Rows, limits: Limits, see: Callable[[RowResult], None]) -> Made:
    refuse_costly(encoded, limits)
    try:
        return make(encoded, name, rows, progress=see)
    except UserError:
        raise
    except Exception as error:  # A mistake of ours must not take the photographs along that wait behind this one.
        if out_of_memory(error):
            raise UserError("there is not enough memory for a photograph of this size") from error
        traceback.print_exc()
        raise UserError(f"a mistake of this program ended the examination ({type(error).__name__})") from error


def row_message(result: RowResult) -> dict[str, Any]:
    """What the page shows of one row while others are still looking."""
    found = result.found
    if found is None:
        says, small = f"Says nothing: {result.undefined}", ""
    elif result.silent:
        says, small = "Found none of its traces", ""
    else:
        says = f"Marks {percent(float(found.mask.mean()))} of the photograph"
        small = pictures.grey_map(found.probability, MAP_SIDE)
    return {"row": result.name, "says": says, "map": small, "seconds": round(result.seconds, 1)}


def _tell(pipe: Connection, **message: Any) -> None:
    pipe.send_bytes(json.dumps(message, allow_nan=False).encode())
