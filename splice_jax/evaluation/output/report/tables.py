"""The tables of the report as HTML, complete without the page's program, which only sorts and chooses.

Every cell that holds a number has it in `data-value` at full precision, by which columns are sorted.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from splice_jax.evaluation.output import published
from splice_jax.evaluation.output.tables import NOTHING, decimal, signed, undefined
from splice_jax.evaluation.rows import TRIVIAL, main_row, names, row_name
from splice_jax.evaluation.scores.conventions import HALF, HEADLINE, convention_of, find

SCORES = {"f1": "F1", "mcc": "MCC", "iou": "IoU", "auc": "AUC"}

_THRESHOLDS = {
    "best-per-image": "best per image",
    "0.5": "0.5",
    "best-per-dataset": "best per data set",
    "validation": "validation",
}

Groups = Sequence[tuple[str, Sequence[str]]]
"""Columns under a common title; a title of "" stands for none."""


class Cell(NamedTuple):
    """One cell: its words, the number that it is sorted by, a smaller line below, an interval drawn, a hint."""

    text: str
    value: float | None = None
    small: str = ""
    bar: str = ""
    hint: str = ""


class Line(NamedTuple):
    """One line: its head, its cells, its attributes, and a smaller line below the head."""

    head: str
    cells: Sequence[Cell]
    attributes: str = ""
    note: str = ""


def headline(scores: Mapping[str, Any]) -> str:
    """The headline and the threshold of 0.5 beside it, with intervals."""
    lowest = {score: _lowest(scores, score) for score in ("f1", "mcc")}
    lines = []
    for row in scores["rows"]:
        hint, cells = undefined(row), []
        for convention in (HEADLINE, HALF):
            entry, drawn = find(row["scores"], convention), convention == HEADLINE
            cells += [_score(entry, score, hint, lowest[score] if drawn else None) for score in ("f1", "mcc")]
            cells.append(_number(entry["iou"], hint))
        seconds = row["seconds_per_image"]
        cells += [_number(find(row["scores"], HEADLINE)["auc"], hint), _images(row, scores["images"])]
        cells.append(Cell(NOTHING, hint=hint) if seconds is None else Cell(f"{seconds:.2f}", seconds))
        lines.append(_line(scores, row, cells))
    groups = [
        ("best threshold per image", ["F1", "MCC", "IoU"]),
        ("threshold 0.5", ["F1", "MCC", "IoU"]),
        ("", ["AUC", "images", "seconds<br>per image"]),
    ]
    return table("row", groups, lines, "Headline scores of every row")


def grid(scores: Mapping[str, Any]) -> str:
    """Every convention, one table for each score; the program shows one of them at a time."""
    return "".join(
        f'<section class="of-score" data-score="{score}"><h3>{title}</h3>{_grid(scores, score)}</section>'
        for score, title in SCORES.items()
    )


def _grid(scores: Mapping[str, Any], score: str) -> str:
    conventions = [convention_of(entry) for entry in scores["rows"][0]["scores"]]
    if score == "auc":  # Has no threshold.
        conventions = [each for each in conventions if each.threshold == HEADLINE.threshold]
    groups: dict[str, list[str]] = {}
    for each in conventions:
        polarity = "given polarity" if each.polarity == "given" else "better of both polarities (oracle)"
        average = "mean over images" if each.average == "images" else "pooled pixels"
        shown = "all thresholds" if score == "auc" else _THRESHOLDS[each.threshold]
        groups.setdefault(f"{polarity}, {average}", []).append(shown)
    lines = []
    for row in scores["rows"]:
        cells = [_score(find(row["scores"], each), score, undefined(row)) for each in conventions]
        lines.append(_line(scores, row, [*cells, _images(row, scores["images"])]))
    return table("row", [*groups.items(), ("", ["images"])], lines, f"{SCORES[score]} under every convention")


def differences(scores: Mapping[str, Any]) -> str:
    """Any row minus any other; the lines of the row that the evaluation is about are shown at first."""
    about, lines, widest = main_row(names(scores)), [], _widest(scores)
    for each in scores["differences"]:
        for row, other, sign in ((each["row"], each["other"], 1), (each["other"], each["row"], -1)):
            cells = [Cell(html.escape(other))]
            for score in ("f1", "mcc"):
                cells.append(_difference(each, score, sign, widest))
            cells.append(Cell(str(each["images"]), each["images"]))
            kind = "best" if convention_of(each) == HEADLINE else "half"
            shown = "" if row == about and kind == "best" else " hidden"
            lines.append(Line(row, cells, f'data-row="{html.escape(row)}" data-threshold="{kind}"{shown}'))
    if not lines:
        return "<p>There is one row only.</p>"
    return table("row", [("", ["minus", "F1", "MCC", "images of both"])], lines, "Paired differences between rows")


def detection(scores: Mapping[str, Any]) -> str:
    """Whether images are spliced at all."""
    lines = []
    for row in scores["rows"]:
        if (found := row["detection"]) is not None:
            shares = [found[key] for key in ("false_positive_pixels", "false_alarms", "detections")]
            cells = [_score(found, "auc"), *(Cell(f"{share:.1%}", share) for share in shares)]
            counts = found["images"]
            images = Cell(f"{counts['authentic']} + {counts['spliced']}", sum(counts.values()))
            lines.append(_line(scores, row, [*cells, images]))
    if not lines:
        return "<p>There are no authentic images in this split, so nothing can be said about false alarms.</p>"
    columns = ["AUC of images", "authentic pixels<br>marked at 0.5", "false alarms", "spliced images<br>that raise it"]
    note = next(row["detection"] for row in scores["rows"] if row["detection"])
    explained = f"An image's score is the {note['image_score']}; an alarm is {note['alarm']}."
    return (
        table("row", [("", [*columns, "authentic +<br>spliced images"])], lines, "Detection of authentic images")
        + f'<p class="quiet">{html.escape(explained)}</p>'
    )


def accuracies(scores: Mapping[str, Any]) -> str:
    """Table 2 as measured."""
    lines = []
    for row in scores["rows"]:
        if (found := row["patch_accuracy"]) is not None:
            shares = [found[head] for head in ("classification", "segmentation")]
            cells = [Cell(f"{share:.2%}", share) for share in shares]
            lines.append(_line(scores, row, [*cells, _images(row, scores["images"])]))
    if not lines:
        return "<p>No row has a label head.</p>"
    return table("row", [("", ["patch labels", "pixels", "images"])], lines, "Patch labels and pixels right at 0.5")


def published_scores(scores: Mapping[str, Any]) -> str:
    """F1 and MCC as printed by others."""
    lines = []
    for figure in published.SCORES:
        pairs = [pair for name in published.DATASETS for pair in figure.scores.get(name, (None, None))]
        cells = [Cell(NOTHING) if each is None else Cell(decimal(each), each) for each in pairs]
        lines.append(Line(figure.method, [*cells, _source(figure)]))
    groups = [(_known(name, scores), ["F1", "MCC"]) for name in published.DATASETS]
    return table("method", [*groups, ("", ["source"])], lines, "Published F1 and MCC")


def published_accuracies(scores: Mapping[str, Any]) -> str:
    """Table 2 as printed by others."""
    lines = []
    for figure in published.ACCURACIES:
        shares = [share for name in published.DATASETS for share in figure.accuracy[name]]
        lines.append(Line(figure.method, [*(Cell(f"{share:.2%}", share) for share in shares), _source(figure)]))
    groups = [(_known(name, scores), ["patch labels", "pixels"]) for name in published.DATASETS]
    return table("method", [*groups, ("", ["source"])], lines, "Published patch accuracies")


def table(first: str, groups: Groups, lines: Sequence[Line], caption: str) -> str:
    """A table whose columns the program makes sortable, in a box that scrolls sideways."""
    titled = any(title for title, _ in groups)
    above, column = [f'<th scope="col" data-column="0"{_rows(titled)}>{first}</th>'], 1
    below: list[str] = []
    for title, columns in groups:
        if title:
            above.append(f'<th scope="colgroup" colspan="{len(columns)}" class="group">{title}</th>')
        for name in columns:
            edge = ' class="edge"' if title and name is columns[0] else ""
            head = f'<th scope="col" data-column="{column}"{edge}{"" if title else _rows(titled)}>{name}</th>'
            (below if title else above).append(head)
            column += 1
    edges, start = set(), 1
    for title, columns in groups:
        if title:
            edges |= {start, start + len(columns)}
        start += len(columns)
    head = f"<tr>{''.join(above)}</tr>" + (f"<tr>{''.join(below)}</tr>" if titled else "")
    body = "".join(_html_line(line, edges) for line in lines)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{html.escape(caption)}"><table class="sortable">'
        f'<caption class="hidden">{html.escape(caption)}</caption><thead>{head}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _rows(titled: bool) -> str:
    return ' rowspan="2"' if titled else ""


def _html_line(line: Line, edges: set[int]) -> str:
    cells = "".join(_html_cell(cell, index in edges) for index, cell in enumerate(line.cells, start=1))
    attributes = f" {line.attributes}" if line.attributes else ""
    note = f" <small>{html.escape(line.note)}</small>" if line.note else ""
    return f'<tr{attributes}><th scope="row">{html.escape(line.head)}{note}</th>{cells}</tr>'


def _html_cell(cell: Cell, edge: bool) -> str:
    kinds = [kind for kind, holds in (("edge", edge), ("words", cell.value is None and cell.text != NOTHING)) if holds]
    attributes = f' class="{" ".join(kinds)}"' if kinds else ""
    attributes += "" if cell.value is None else f' data-value="{cell.value!r}"'
    attributes += f' title="{html.escape(cell.hint)}"' if cell.hint else ""
    small = f"<small>{cell.small}</small>" if cell.small else ""
    return f"<td{attributes}>{cell.text}{small}{cell.bar}</td>"


def _line(scores: Mapping[str, Any], row: Mapping[str, Any], cells: Sequence[Cell]) -> Line:
    name = row_name(row["method"], row["crf"])
    kind = "main" if name == main_row(names(scores)) else "trivial" if name in TRIVIAL else ""
    return Line(name, cells, f'class="{kind}"' if kind else "", row.get("note", ""))


def _number(value: float | None, hint: str = "") -> Cell:
    return Cell(NOTHING, hint=hint) if value is None else Cell(_minus(decimal(value)), value)


def _score(entry: Mapping[str, Any], score: str, hint: str = "", lowest: float | None = None) -> Cell:
    """A score with its interval, which is drawn where the left end of its line is given."""
    if entry[score] is None:
        return Cell(NOTHING, hint=hint)
    low, high = entry[f"{score}_ci95"]
    bar = "" if lowest is None else _bar(entry[score], low, high, lowest, 1.0)
    return Cell(_minus(decimal(entry[score])), entry[score], _minus(f"{decimal(low)} – {decimal(high)}"), bar)


def _difference(each: Mapping[str, Any], score: str, sign: int, widest: float) -> Cell:
    if each[score] is None:
        return Cell(NOTHING, hint="no image has a score of both rows")
    value, (low, high) = sign * each[score], sorted(sign * bound for bound in each[f"{score}_ci95"])
    bar = _bar(value, low, high, -widest, widest, zero=True)
    return Cell(_minus(signed(value)), value, _minus(f"{signed(low)} – {signed(high)}"), bar)


def _widest(scores: Mapping[str, Any]) -> float:
    """How far from 0 the interval of any difference goes: where the lines of all end."""
    intervals = [each[f"{score}_ci95"] for each in scores["differences"] for score in ("f1", "mcc")]
    return max([0.01, *(abs(bound) for interval in intervals if interval for bound in interval)])


def _minus(text: str) -> str:
    """With minus signs instead of hyphens."""
    return text.replace("-", "−")


def _images(row: Mapping[str, Any], of: int) -> Cell:
    shown = str(of) if row["images"] == of else f"{row['images']} of {of}"
    return Cell(shown, row["images"], hint=undefined(row))


def _source(figure: published.Published | published.PublishedAccuracy) -> Cell:
    return Cell(f"{html.escape(figure.source)}; {html.escape(figure.certainty)}")


def _known(dataset: str, scores: Mapping[str, Any]) -> str:
    return published.DATASETS[dataset] + (" (the data set above)" if dataset == scores["dataset"] else "")


def _lowest(scores: Mapping[str, Any], score: str) -> float:
    """Where the lines of all rows' intervals begin: at 0, or below it where an interval does."""
    bounds = [find(row["scores"], HEADLINE)[f"{score}_ci95"] for row in scores["rows"]]
    return min([0.0, *(bound[0] for bound in bounds if bound is not None)])


def _bar(mean: float, low: float, high: float, left: float, right: float, *, zero: bool = False) -> str:
    """An interval on a line from `left` to `right`."""
    x_low, x_mean, x_high, x_zero = (4 + 92 * (value - left) / (right - left) for value in (low, mean, high, 0.0))
    mark = f'<line class="zero" x1="{x_zero:.1f}" x2="{x_zero:.1f}" y1="0" y2="10"/>' if zero else ""
    return (
        '<svg class="interval" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<line class="track" x1="4" x2="96" y1="5" y2="5"/>{mark}'
        f'<line class="band" x1="{x_low:.1f}" x2="{x_high:.1f}" y1="5" y2="5"/>'
        f'<line class="mean" x1="{x_mean:.1f}" x2="{x_mean:.1f}" y1="1" y2="9"/></svg>'
    )
