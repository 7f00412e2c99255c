"""The content of the report's tables; page/table.html draws them.

They are complete without the page's program, which only sorts and selects. Cells with numbers also hold them at full
precision, by which columns are sorted.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from splice_jax.evaluation.output import published
from splice_jax.evaluation.output.tables import NOTHING, decimal, over_all, ranked, signed, undefined
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
"""Columns under a common title; "" means no title. A title may contain a line break."""


class Bar(NamedTuple):
    """An interval on a line from 4 to 96."""

    low: float
    mean: float
    high: float
    zero: float | None = None
    """Where 0 is, if it is marked."""


class Cell(NamedTuple):
    """One cell: its text, the number it is sorted by, a smaller line below, an interval to draw, a hint."""

    text: str
    value: float | None = None
    small: str = ""
    bar: Bar | None = None
    hint: str = ""

    @property
    def words(self) -> bool:
        """Whether it holds neither a number nor the mark for a missing one."""
        return self.value is None and self.text != NOTHING


class Line(NamedTuple):
    """One line: its head, its cells, and keys for the program and its styles."""

    head: str
    cells: Sequence[Cell]
    kind: str = ""
    row: str = ""
    threshold: str = ""
    hidden: bool = False


class Table(NamedTuple):
    """A table in a horizontally scrolling box, whose columns the program makes sortable."""

    caption: str
    groups: Groups
    lines: Sequence[Line]
    first: str = "row"
    """The title of the column of heads."""

    @property
    def titled(self) -> bool:
        """Whether there is a line of group titles above the columns' own."""
        return any(title for title, _ in self.groups)

    @property
    def edges(self) -> set[int]:
        """The columns before which a vertical line is drawn; column 0 is the heads."""
        edges, start = set(), 1
        for title, columns in self.groups:
            if title:
                edges |= {start, start + len(columns)}
            start += len(columns)
        return edges


def headline(scores: Mapping[str, Any]) -> Table:
    """The headline next to the threshold of 0.5, with intervals."""
    lowest = {score: _lowest(scores, score) for score in ("f1", "mcc")}
    lines = []
    for row in ranked(scores["rows"]):
        hint, cells = undefined(row), []
        for convention in (HEADLINE, HALF):
            entry, drawn = find(row["scores"], convention), convention == HEADLINE
            cells += [_score(entry, score, hint, lowest[score] if drawn else None) for score in ("f1", "mcc")]
            cells.append(_number(entry["iou"], hint))
        cells += [_number(over_all(row, score), hint) for score in ("f1", "mcc")]
        seconds = row["seconds_per_image"]
        cells += [_number(find(row["scores"], HEADLINE)["auc"], hint), _images(row, scores["images"])]
        cells.append(Cell(NOTHING, hint=hint) if seconds is None else Cell(f"{seconds:.2f}", seconds))
        lines.append(_line(scores, row, cells))
    groups = [
        ("best threshold per image", ["F1", "MCC", "IoU"]),
        ("threshold 0.5", ["F1", "MCC", "IoU"]),
        ("best, of all images", ["F1", "MCC"]),
        ("", ["AUC", "images", "seconds\nper image"]),
    ]
    return Table("Headline scores of every row", groups, lines)


def every_convention(scores: Mapping[str, Any]) -> dict[str, Table]:
    """Every convention, in one table per score; the program shows one at a time."""
    return {score: _of_score(scores, score) for score in SCORES}


def _of_score(scores: Mapping[str, Any], score: str) -> Table:
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
    return Table(f"{SCORES[score]} under every convention", [*groups.items(), ("", ["images"])], lines)


def differences(scores: Mapping[str, Any]) -> Table:
    """Any row minus any other; the lines of the row that the evaluation is about are shown at first."""
    about, lines, widest = main_row(names(scores)), [], _widest(scores)
    for each in scores["differences"]:
        for row, other, sign in ((each["row"], each["other"], 1), (each["other"], each["row"], -1)):
            cells = [Cell(other)]
            for score in ("f1", "mcc"):
                cells.append(_difference(each, score, sign, widest))
            cells.append(Cell(str(each["images"]), each["images"]))
            kind = "best" if convention_of(each) == HEADLINE else "half"
            hidden = row != about or kind != "best"
            lines.append(Line(row, cells, row=row, threshold=kind, hidden=hidden))
    return Table("Paired differences between rows", [("", ["minus", "F1", "MCC", "images of both"])], lines)


def detection(scores: Mapping[str, Any]) -> Table:
    """Whether images are spliced at all."""
    lines = []
    for row in scores["rows"]:
        if (found := row["detection"]) is not None:
            shares = [found[key] for key in ("false_positive_pixels", "false_alarms", "detections")]
            cells = [_score(found, "auc"), *(Cell(f"{share:.1%}", share) for share in shares)]
            at_rate = found["at_false_alarms"]
            cells += [Cell(NOTHING) if at_rate is None else _score(at_rate, score) for score in ("f1", "mcc")]
            of_score = found["score"]
            names = ("auc", "balanced_accuracy", "ece")
            cells += [Cell(NOTHING) if of_score is None else _score(of_score, name) for name in names]
            counts = found["images"]
            images = Cell(f"{counts['authentic']} + {counts['spliced']}", sum(counts.values()))
            lines.append(_line(scores, row, [*cells, images]))
    columns = ["AUC of images", "authentic pixels\nmarked at 0.5", "false alarms", "spliced images\nthat raise it"]
    columns += ["F1 at 10 %\nfalse alarms", "MCC at 10 %\nfalse alarms"]
    columns += ["AUC of\nthe score", "balanced\naccuracy", "calibration\nerror (ECE)"]
    groups = [("", [*columns, "authentic +\nspliced images"])]
    return Table("Detection of authentic images", groups, lines)


def detection_rule(scores: Mapping[str, Any]) -> str:
    """What an image's score and an alarm are; empty where no image can have one."""
    rules = [row["detection"] for row in scores["rows"] if row["detection"]]
    return f"An image's score is the {rules[0]['image_score']}; an alarm is {rules[0]['alarm']}." if rules else ""


def reliability(scores: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """The bins of each calibrated score, by row; a CRF changes no score, so rows without one stand for both."""
    return {
        row_name(row["method"], row["crf"]): found["bins"]
        for row in scores["rows"]
        if row["crf"] == "none" and row["detection"] and (found := row["detection"]["score"])
    }


def accuracies(scores: Mapping[str, Any]) -> Table:
    """Table 2 as measured."""
    lines = []
    for row in scores["rows"]:
        if (found := row["patch_accuracy"]) is not None:
            shares = [found[head] for head in ("classification", "segmentation")]
            cells = [Cell(f"{share:.2%}", share) for share in shares]
            lines.append(_line(scores, row, [*cells, _images(row, scores["images"])]))
    return Table("Patch labels and pixels right at 0.5", [("", ["patch labels", "pixels", "images"])], lines)


def published_scores(scores: Mapping[str, Any]) -> Table:
    """F1 and MCC as published by others."""
    lines = []
    for figure in published.SCORES:
        pairs = [pair for name in published.DATASETS for pair in figure.scores.get(name, (None, None))]
        cells = [Cell(NOTHING) if each is None else Cell(decimal(each), each) for each in pairs]
        lines.append(Line(figure.method, [*cells, _source(figure)]))
    groups = [(_known(name, scores), ["F1", "MCC"]) for name in published.DATASETS]
    return Table("Published F1 and MCC", [*groups, ("", ["source"])], lines, first="method")


def published_accuracies(scores: Mapping[str, Any]) -> Table:
    """Table 2 as published by others."""
    lines = []
    for figure in published.ACCURACIES:
        shares = [share for name in published.DATASETS for share in figure.accuracy[name]]
        lines.append(Line(figure.method, [*(Cell(f"{share:.2%}", share) for share in shares), _source(figure)]))
    groups = [(_known(name, scores), ["patch labels", "pixels"]) for name in published.DATASETS]
    return Table("Published patch accuracies", [*groups, ("", ["source"])], lines, first="method")


def _line(scores: Mapping[str, Any], row: Mapping[str, Any], cells: Sequence[Cell]) -> Line:
    name = row_name(row["method"], row["crf"])
    kind = "main" if name == main_row(names(scores)) else "trivial" if name in TRIVIAL else ""
    return Line(name, cells, kind)


def _number(value: float | None, hint: str = "") -> Cell:
    return Cell(NOTHING, hint=hint) if value is None else Cell(_minus(decimal(value)), value)


def _score(entry: Mapping[str, Any], score: str, hint: str = "", lowest: float | None = None) -> Cell:
    """A score with its interval, which is drawn if the left end of its line is given."""
    if entry[score] is None:
        return Cell(NOTHING, hint=hint)
    low, high = entry[f"{score}_ci95"]
    bar = None if lowest is None else _bar(entry[score], low, high, lowest, 1.0)
    return Cell(_minus(decimal(entry[score])), entry[score], _minus(f"{decimal(low)} – {decimal(high)}"), bar)


def _difference(each: Mapping[str, Any], score: str, sign: int, widest: float) -> Cell:
    if each[score] is None:
        return Cell(NOTHING, hint="no image has a score of both rows")
    value, (low, high) = sign * each[score], sorted(sign * bound for bound in each[f"{score}_ci95"])
    bar = _bar(value, low, high, -widest, widest, zero=True)
    return Cell(_minus(signed(value)), value, _minus(f"{signed(low)} – {signed(high)}"), bar)


def _widest(scores: Mapping[str, Any]) -> float:
    """How far from 0 the interval of any difference reaches, which is where all lines end."""
    intervals = [each[f"{score}_ci95"] for each in scores["differences"] for score in ("f1", "mcc")]
    return max([0.01, *(abs(bound) for interval in intervals if interval for bound in interval)])


def _minus(text: str) -> str:
    """With minus signs instead of hyphens."""
    return text.replace("-", "−")


def _images(row: Mapping[str, Any], of: int) -> Cell:
    shown = str(of) if row["images"] == of else f"{row['images']} of {of}"
    return Cell(shown, row["images"], hint=undefined(row))


def _source(figure: published.Published | published.PublishedAccuracy) -> Cell:
    return Cell(f"{figure.source}; {figure.certainty}")


def _known(dataset: str, scores: Mapping[str, Any]) -> str:
    return published.DATASETS[dataset] + (" (the data set above)" if dataset == scores["dataset"] else "")


def _lowest(scores: Mapping[str, Any], score: str) -> float:
    """Where the lines of all rows' intervals start: at 0, or lower if an interval does."""
    bounds = [find(row["scores"], HEADLINE)[f"{score}_ci95"] for row in scores["rows"]]
    return min([0.0, *(bound[0] for bound in bounds if bound is not None)])


def _bar(mean: float, low: float, high: float, left: float, right: float, *, zero: bool = False) -> Bar:
    """An interval on a line from `left` to `right`."""
    x_low, x_mean, x_high, x_zero = (4 + 92 * (value - left) / (right - left) for value in (low, mean, high, 0.0))
    return Bar(x_low, x_mean, x_high, x_zero if zero else None)
