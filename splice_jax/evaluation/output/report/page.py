"""Human-readable results of an evaluation: a table for the terminal, and one self-contained HTML file.

The file holds its own style, program, numbers and pictures, and its policy forbids network requests. Pictures are
stored as text at the end of the page and decoded only while they are near the screen.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from splice_jax.evaluation.output.report import pictures, tables
from splice_jax.evaluation.output.report.templates import part, templates
from splice_jax.evaluation.output.tables import (
    NOTHING,
    beside_maps,
    decimal,
    over_all,
    ranked,
    undefined_rows,
    with_interval,
)
from splice_jax.evaluation.rows import TRIVIAL, main_row, names, notes, row_name
from splice_jax.evaluation.scores import conventions
from splice_jax.evaluation.scores.conventions import HALF, HEADLINE

_PACKAGE = "splice_jax.evaluation.output.report"

PARTS = ("tables.js", "charts.js", "gallery.js")
"""The parts of the page's program, in order."""


class Content(NamedTuple):
    """The numbers in a report."""

    scores: Mapping[str, Any]
    """The content of scores.json."""
    curves: Mapping[str, Any]
    """The content of curves.json."""
    degradations: Mapping[str, Any] | None
    """The content of degradations.json."""
    images: Sequence[Mapping[str, Any]]
    """See `Gallery.index`."""
    distributions: Mapping[str, Mapping[str, Any]]
    """See `distributions`."""


def title(scores: Mapping[str, Any]) -> str:
    """`sgn+crf on columbia, test split`, or with the evaluation's name if it has one."""
    name = scores["config"].get("evaluation_name") or f"{scores['dataset']}, {scores['split']} split"
    return f"{main_row(names(scores))} on {name}"


def headline(scores: Mapping[str, Any]) -> str:
    """A full description of the headline numbers."""
    border = scores.get("ignore_border", 0)
    without = f", without the pixels within {border} of a mask's boundary" if border else ""
    return f"F1 and MCC {HEADLINE}, over {scores['images']} spliced images{without}, with bootstrap 95 % intervals"


def text_table(scores: Mapping[str, Any]) -> str:
    """The scores for a terminal, with the headline in full above and everything that is not about maps below."""
    lines: list[tuple[str, ...]] = [
        ("row", "F1 best", "MCC best", "F1 at 0.5", "MCC at 0.5", "F1 of all", "images", "s/image")
    ]
    for row in ranked(scores["rows"]):
        entries = [conventions.find(row["scores"], convention) for convention in (HEADLINE, HALF)]
        cells = [with_interval(entry, score) for entry in entries for score in ("f1", "mcc")]
        seconds = row["seconds_per_image"]
        name = row_name(row["method"], row["crf"])
        every = over_all(row, "f1")
        cells.append(NOTHING if every is None else decimal(every))
        lines.append((name, *cells, str(row["images"]), NOTHING if seconds is None else f"{seconds:.2f}"))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    body = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    body.insert(1, "  ".join("-" * width for width in widths))
    above = [title(scores), f"headline (best): {headline(scores)}; beside it {HALF}", ""]
    return "\n".join([*above, *body, *notes(scores), *undefined_rows(scores), *beside_maps(scores)])


def write(path: Path, content: Content, encoded: Iterable[Mapping[str, Any]]) -> None:
    """Writes the report.

    Args:
      path: the file to write.
      content: its numbers.
      encoded: the pictures of the images in `content`, in the same order; read one at a time, so that any number fits
        in memory.
    """
    template = templates(_PACKAGE).get_template("report.html")
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:  # Paths need not be UTF-8.
        file.writelines(template.generate(_fields(content), pictures=encoded))


def _fields(content: Content) -> dict[str, Any]:
    scores = content.scores
    return {
        "title": title(scores),
        "headline": headline(scores),
        "beside": str(HALF),
        "facts": _facts(scores),
        "headline_table": tables.headline(scores),
        "scores": tables.SCORES,
        "conventions": tables.every_convention(scores),
        "validation": _validation(scores),
        "differences": tables.differences(scores),
        "detection": tables.detection(scores),
        "detection_rule": tables.detection_rule(scores),
        "reliability": tables.reliability(scores),
        "accuracies": tables.accuracies(scores),
        "published": tables.published_scores(scores),
        "published_accuracies": tables.published_accuracies(scores),
        "networks": notes(scores),
        "undefined": undefined_rows(scores),
        "beside_maps": beside_maps(scores),
        "crf": _crf(scores),
        "degraded": content.degradations is not None,
        "images": scores["images"],
        "pictured": len(content.images),
        "config": json.dumps(scores["config"], indent=2, sort_keys=True),
        "style": part(_PACKAGE, "report.css"),
        "program": Markup("\n").join(part(_PACKAGE, name) for name in PARTS),
        "data": _data(content),
    }


def _data(content: Content) -> dict[str, Any]:
    shown = [name for name in names(content.scores) if name not in TRIVIAL] or names(content.scores)
    return {
        "rows": names(content.scores),
        "shown": shown,
        "trivial": TRIVIAL,
        "main": main_row(names(content.scores)),
        "curves": content.curves,
        "degradations": content.degradations,
        "images": content.images,
        "distributions": content.distributions,
        "longest_side": pictures.longest_side(len(content.images) * len(shown)),
    }


def _facts(scores: Mapping[str, Any]) -> dict[str, Any]:
    data = scores.get("data", {})
    return {
        "data set": scores["dataset"],
        "version": data.get("version") or NOTHING,
        "images and pixels": data.get("fingerprint", "")[:12] or NOTHING,
        "split": scores["split"],
        "spliced images": scores["images"],
        "authentic images, left out of all means": scores["authentic_images"],
        "commit": scores["commit"],
    }


def _validation(scores: Mapping[str, Any]) -> str:
    reason = scores["validation"].get("reason")
    if reason:
        return f"No threshold was chosen on validation: {reason}."
    return f"The threshold of validation was chosen on {scores['validation']['images']} images."


def _crf(scores: Mapping[str, Any]) -> str:
    section = scores["config"].get("crf", {})
    if all(row["crf"] == "none" for row in scores["rows"]) or not section:
        return ""
    return "CRF: " + ", ".join(f"{name} {value}" for name, value in section.items()) + "."
