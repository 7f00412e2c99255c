"""The result of an evaluation for people: a table for the terminal, and one HTML file that needs nothing else.

The file holds its own style, program, numbers and pictures, and its policy forbids it to ask anything of a network.
Pictures stand behind the page as text and are decoded only while they are near the screen.
"""

import html
import json
import string
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from splice_jax.evaluation.output.report import pictures, tables
from splice_jax.evaluation.output.tables import NOTHING, beside_maps, undefined_rows, with_interval
from splice_jax.evaluation.rows import TRIVIAL, main_row, names, printed_name
from splice_jax.evaluation.scores import conventions
from splice_jax.evaluation.scores.conventions import HALF, HEADLINE

PARTS = ("tables.js", "charts.js", "gallery.js")
"""Of the page's program, in their order."""


class Content(NamedTuple):
    """The numbers of a report."""

    scores: Mapping[str, Any]
    """The content of scores.json."""
    curves: Mapping[str, Any]
    """The content of curves.json."""
    degradations: Mapping[str, Any] | None
    """The content of degradations.json."""
    images: Sequence[Mapping[str, Any]]
    """See `Gallery.index`."""


def title(scores: Mapping[str, Any]) -> str:
    """`sgn+crf on columbia, test split`, or on the name that the evaluation was given."""
    name = scores["config"].get("evaluation_name") or f"{scores['dataset']}, {scores['split']} split"
    return f"{main_row(names(scores))} on {name}"


def headline(scores: Mapping[str, Any]) -> str:
    """What the headline numbers are, in full."""
    border = scores.get("ignore_border", 0)
    without = f", without the pixels within {border} of a mask's boundary" if border else ""
    return f"F1 and MCC {HEADLINE}, over {scores['images']} spliced images{without}, with bootstrap 95 % intervals"


def text_table(scores: Mapping[str, Any]) -> str:
    """The scores for a terminal, the headline named in full above them, what no map tells below."""
    lines: list[tuple[str, ...]] = [("row", "F1 best", "MCC best", "F1 at 0.5", "MCC at 0.5", "images", "s/image")]
    for row in scores["rows"]:
        entries = [conventions.find(row["scores"], convention) for convention in (HEADLINE, HALF)]
        cells = [with_interval(entry, score) for entry in entries for score in ("f1", "mcc")]
        seconds = row["seconds_per_image"]
        lines.append((printed_name(row), *cells, str(row["images"]), NOTHING if seconds is None else f"{seconds:.2f}"))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    body = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    body.insert(1, "  ".join("-" * width for width in widths))
    above = [title(scores), f"headline (best): {headline(scores)}; beside it {HALF}", ""]
    return "\n".join([*above, *body, *undefined_rows(scores), *beside_maps(scores)])


def write(path: Path, content: Content, encoded: Iterable[Mapping[str, Any]]) -> None:
    """Writes the report.

    Args:
      path: of the file.
      content: its numbers.
      encoded: the pictures of the images of `content`, in their order; taken one at a time, so that any number fits
        into memory.
    """
    filled = string.Template(_part("report.html")).substitute(_fields(content) | {"pictures": "\0"})
    before, after = filled.split("\0")
    with path.open("w", encoding="utf-8") as file:
        file.write(before)
        for rank, picture in enumerate(encoded):
            file.write(f'<script type="application/json" id="picture-{rank}">{_json(picture)}</script>\n')
        file.write(after)


def _fields(content: Content) -> dict[str, str]:
    scores = content.scores
    return {
        "title": html.escape(title(scores)),
        "headline": html.escape(headline(scores)),
        "beside": html.escape(str(HALF)),
        "facts": _facts(scores),
        "headline_table": tables.headline(scores),
        "grid": tables.grid(scores),
        "validation": html.escape(_validation(scores)),
        "differences": tables.differences(scores),
        "detection": tables.detection(scores),
        "accuracies": tables.accuracies(scores),
        "published": tables.published_scores(scores),
        "published_accuracies": tables.published_accuracies(scores),
        "undefined": _notes("undefined", undefined_rows(scores)),
        "beside_maps": _notes("beside-maps", beside_maps(scores)),
        "crf": html.escape(_crf(scores)),
        "degraded": "" if content.degradations else "hidden",
        "images": str(len(content.images)),
        "config": html.escape(json.dumps(scores["config"], indent=2, sort_keys=True)),
        "style": _part("report.css"),
        "program": "\n".join(map(_part, PARTS)),
        "data": _json(_data(content)),
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
        "longest_side": pictures.longest_side(len(content.images) * len(shown)),
    }


def _part(name: str) -> str:
    return resources.files("splice_jax.evaluation.output.report").joinpath("page", name).read_text(encoding="utf-8")


def _json(content: Any) -> str:
    """JSON that can end neither the element that it stands in nor begin a comment there."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _facts(scores: Mapping[str, Any]) -> str:
    data = scores.get("data", {})
    facts = {
        "data set": scores["dataset"],
        "version": data.get("version") or NOTHING,
        "images and pixels": data.get("fingerprint", "")[:12] or NOTHING,
        "split": scores["split"],
        "spliced images": scores["images"],
        "authentic images, left out of all means": scores["authentic_images"],
        "commit": scores["commit"],
    }
    return "".join(f"<div><dt>{name}</dt><dd>{html.escape(str(value))}</dd></div>" for name, value in facts.items())


def _validation(scores: Mapping[str, Any]) -> str:
    reason = scores["validation"].get("reason")
    if reason:
        return f"No threshold was chosen on validation: {reason}."
    return f"The threshold of validation was chosen on {scores['validation']['images']} images."


def _notes(name: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return f'<ul class="notes" id="{name}">{items}</ul>' if items else ""


def _crf(scores: Mapping[str, Any]) -> str:
    section = scores["config"].get("crf", {})
    if all(row["crf"] == "none" for row in scores["rows"]) or not section:
        return ""
    return "CRF: " + ", ".join(f"{name} {value}" for name, value in section.items()) + "."
