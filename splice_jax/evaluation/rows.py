"""The names of rows, and which of them an evaluation is about."""

from collections.abc import Mapping, Sequence
from typing import Any

from splice_jax.methods.registry import TRIVIAL as TRIVIAL


def row_name(method: str, crf: str) -> str:
    """A row as it is printed: `sgn`, or `sgn+crf` whichever CRF it is."""
    return method if crf == "none" else f"{method}+crf"


def printed_name(row: Mapping[str, Any]) -> str:
    """An entry of `rows` of scores.json as it is printed: its name and, behind a trained one, its note.

    >>> printed_name({"method": "mfcn", "crf": "none", "note": "width 0.125, from scratch"})
    'mfcn (width 0.125, from scratch)'
    """
    note = row.get("note", "")
    return row_name(row["method"], row["crf"]) + (f" ({note})" if note else "")


def names(scores: Mapping[str, Any]) -> list[str]:
    """The rows of the content of a scores.json."""
    return [row_name(row["method"], row["crf"]) for row in scores["rows"]]


def main_row(names: Sequence[str]) -> str:
    """The row that a report is about: the first that is not trivial, after its CRF where it has one."""
    first = next((name for name in names if name not in TRIVIAL), names[0])
    return f"{first}+crf" if f"{first}+crf" in names else first
