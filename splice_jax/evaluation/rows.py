"""The names of rows, and which row an evaluation is about."""

from collections.abc import Mapping, Sequence
from typing import Any

from splice_jax.methods.registry import TRIVIAL as TRIVIAL


def row_name(method: str, crf: str) -> str:
    """A row's name as printed: `sgn`, or `sgn+crf` for any CRF."""
    return method if crf == "none" else f"{method}+crf"


def notes(scores: Mapping[str, Any]) -> list[str]:
    """The notes below a table of rows, one for each trained method.

    >>> mfcn = {"method": "mfcn", "note": "width 0.125, from scratch"}
    >>> notes({"rows": [mfcn | {"crf": "none"}, mfcn | {"crf": "jax"}]})
    ['mfcn, mfcn+crf: width 0.125, from scratch']
    """
    of_note: dict[tuple[str, str], list[str]] = {}
    for name, row in zip(names(scores), scores["rows"], strict=True):
        if note := row.get("note", ""):
            of_note.setdefault((row["method"], note), []).append(name)
    return [f"{', '.join(rows)}: {note}" for (_, note), rows in of_note.items()]


def names(scores: Mapping[str, Any]) -> list[str]:
    """The names of the rows in the content of a scores.json."""
    return [row_name(row["method"], row["crf"]) for row in scores["rows"]]


def main_row(names: Sequence[str]) -> str:
    """The row a report is about: the first one that is not trivial, with CRF if there is such a row."""
    first = next((name for name in names if name not in TRIVIAL), names[0])
    return f"{first}+crf" if f"{first}+crf" in names else first
