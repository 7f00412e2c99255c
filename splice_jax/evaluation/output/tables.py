"""The paper's tables from measured scores, with published figures in separate columns, and every convention."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from splice_jax.evaluation.output import published
from splice_jax.evaluation.rows import main_row, names, notes, row_name
from splice_jax.evaluation.scores.conventions import CONVENTIONS, HALF, HEADLINE, convention_of, find
from splice_jax.files import replacing

NOTHING = "–"
"""Shown in cells without a value, never 0."""

Table = list[dict[str, str]]
"""Lines, each by the titles of its columns."""


def write(folder: Path, scores: Mapping[str, Any]) -> None:
    """Writes tables.md, table1.csv (F1 and MCC) and table2.csv (accuracy of patch labels and of pixels)."""
    first, second = table_1(scores), table_2(scores)
    _write(folder / "table1.csv", _csv(first))
    _write(folder / "table2.csv", _csv(second))
    _write(folder / "tables.md", _document(scores, first, second))


def table_1(scores: Mapping[str, Any]) -> Table:
    """F1 and MCC of every row, measured under the headline and at 0.5, and as published for this data set."""
    figures = {figure.row: figure for figure in published.SCORES if scores["dataset"] in figure.scores}
    lines = []
    for row in ranked(scores["rows"]):
        name = row_name(row["method"], row["crf"])
        lines.append(
            {"row": name, "images": str(row["images"])}
            | _measured(row)
            | published_scores(figures.pop(name, None), scores["dataset"])
        )
    for figure in figures.values():
        lines.append({"row": NOTHING, "images": NOTHING} | _unmeasured() | published_scores(figure, scores["dataset"]))
    return lines


def ranked(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows by the headline F1 over all images, those a row cannot judge counted as 0; the best first."""
    return sorted(rows, key=lambda row: -(over_all(row, "f1") or 0.0))


def over_all(row: Mapping[str, Any], score: str) -> float | None:
    """The headline score over all images; None if there is none. Files of earlier versions lack it."""
    return find(row["scores"], HEADLINE).get(f"{score}_all")


def table_2(scores: Mapping[str, Any]) -> Table:
    """Shares of patch labels and pixels that a network's heads get right at 0.5, measured and published."""
    figures = {figure.row: figure for figure in published.ACCURACIES if scores["dataset"] in figure.accuracy}
    lines = []
    for name, row in zip(names(scores), scores["rows"], strict=True):
        if row["patch_accuracy"] is not None:
            both = [f"{100 * row['patch_accuracy'][head]:.2f} %" for head in ("classification", "segmentation")]
            lines.append(_accuracy(name, str(row["images"]), both, figures.pop(name, None), scores["dataset"]))
    for figure in figures.values():
        lines.append(_accuracy(NOTHING, NOTHING, [NOTHING, NOTHING], figure, scores["dataset"]))
    return lines


def text_differences(scores: Mapping[str, Any]) -> str:
    """Differences between the evaluation's main row and every other, compactly, for a terminal."""
    about = main_row(names(scores))
    chosen = [each for each in scores["differences"] if convention_of(each) == HEADLINE]
    lines = [_difference(each, about) for each in chosen if about in (each["row"], each["other"])]
    if not lines:
        return "differences: there is one row only"
    heading = f"{about} minus other rows, {HEADLINE}, over the images of both, paired bootstrap 95 % intervals:"
    return "\n".join([heading, *lines])


def _difference(each: Mapping[str, Any], about: str) -> str:
    sign, other = (1, each["other"]) if each["row"] == about else (-1, each["row"])
    if not each["images"]:
        return f"  - {other}: {NOTHING} (no image in common)"
    cells = []
    for score in ("f1", "mcc"):
        low, high = sorted(sign * bound for bound in each[f"{score}_ci95"])
        cells.append(f"{score.upper()} {signed(sign * each[score])} [{signed(low)}, {signed(high)}]")
    return f"  - {other}: {', '.join(cells)} ({each['images']} images)"


def undefined(row: Mapping[str, Any]) -> str:
    """For how many images a row of scores.json has no score, and why; empty if it has one for all."""
    missing = sum(row["undefined"].values())
    reasons = "; ".join(
        reason if len(row["undefined"]) == 1 else f"{reason} ({count})" for reason, count in row["undefined"].items()
    )
    return f"{NOTHING} for {missing} of {missing + row['images']} images: {reasons}" if missing else ""


def undefined_rows(scores: Mapping[str, Any]) -> list[str]:
    """A line for every row that lacks a score for some image."""
    reasons = zip(names(scores), map(undefined, scores["rows"]), strict=True)
    return [f"{name}: {reason}" for name, reason in reasons if reason]


def beside_maps(scores: Mapping[str, Any]) -> list[str]:
    """A line for every score of a row other than its maps', such as the AUC of edges."""
    return [
        f"{row}: {name} {with_interval(found, 'mean')}, mean over {found['images']} images"
        for row, entry in zip(names(scores), scores["rows"], strict=True)
        for name, found in entry.get("beside", {}).items()
    ]


def signed(value: float) -> str:
    """Three decimals with a sign, even for zero."""
    return f"{round(value, 3) + 0:+.3f}"


def decimal(value: float) -> str:
    """Three decimals, without a minus sign on zero."""
    return f"{round(value, 3) + 0:.3f}"


def with_interval(entry: Mapping[str, Any], score: str) -> str:
    """A score and its interval; `NOTHING` if it has no value."""
    if entry[score] is None:
        return NOTHING
    low, high = entry[f"{score}_ci95"]
    return f"{decimal(entry[score])} [{decimal(low)}, {decimal(high)}]"


def _measured(row: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for title, convention in (("best", HEADLINE), ("at 0.5", HALF)):
        entry = find(row["scores"], convention)
        found |= {f"measured {score.upper()} {title}": with_interval(entry, score) for score in ("f1", "mcc")}
    everywhere = {f"measured {score.upper()} of all": over_all(row, score) for score in ("f1", "mcc")}
    return found | {title: NOTHING if value is None else decimal(value) for title, value in everywhere.items()}


def _unmeasured() -> dict[str, str]:
    return {f"measured {score} {title}": NOTHING for title in ("best", "at 0.5", "of all") for score in ("F1", "MCC")}


def published_scores(figure: published.Published | None, dataset: str) -> dict[str, str]:
    """The columns for published figures, with source and certainty; `NOTHING` in all of them if there are none."""
    f1, mcc = (None, None) if figure is None else figure.scores[dataset]
    cells = [NOTHING if value is None else f"{value:.4g}" for value in (f1, mcc)]
    return {"published method": figure.method if figure else NOTHING} | _sourced(("F1", "MCC"), cells, figure)


def _accuracy(
    row: str, images: str, cells: Sequence[str], figure: published.PublishedAccuracy | None, dataset: str
) -> dict[str, str]:
    both = [NOTHING, NOTHING] if figure is None else [f"{100 * share:.2f} %" for share in figure.accuracy[dataset]]
    measured = dict(zip(("measured patch labels", "measured pixels"), cells, strict=True))
    method = figure.method if figure else NOTHING
    return (
        {"row": row, "images": images}
        | measured
        | {"published method": method}
        | _sourced(("patch labels", "pixels"), both, figure)
    )


def _sourced(titles: Sequence[str], cells: Sequence[str], figure: Any) -> dict[str, str]:
    columns = {f"published {title}": cell for title, cell in zip(titles, cells, strict=True)}
    return columns | {
        "published in": figure.source if figure else NOTHING,
        "certainty": figure.certainty if figure else NOTHING,
    }


def _document(scores: Mapping[str, Any], first: Table, second: Table) -> str:
    known = published.DATASETS.get(scores["dataset"])
    comparable = (
        "as printed by others, under their own protocols: comparable only where data, split and convention agree"
    )
    note = (
        f"Published figures are for {known}, {comparable}." if known else "No figures are published for this data set."
    )
    border = f" Pixels within {scores['ignore_border']} of a mask's boundary do not count." * bool(
        scores["ignore_border"]
    )
    reason = scores["validation"].get("reason")
    validation = f"No threshold was chosen on validation: {reason}.\n\n" if reason else ""
    missing = "".join(f"- {line}\n" for line in undefined_rows(scores))
    if not scores["images"]:
        missing += f"- every row: {NOTHING}, since no spliced image is in this split\n"
    beside = "".join(f"- {line}\n" for line in beside_maps(scores))
    beside = f"## Beside the maps\n\n{beside}\n" if beside else ""
    missing = f"Without a score:\n\n{missing}\n" if missing else ""
    noted = "".join(f"- {line}\n" for line in notes(scores))
    noted = (
        f"Trained rows: how the network differs from the published one, and what it was trained on:\n\n{noted}\n"
        * bool(noted)
    )
    return (
        f"# {main_row(names(scores))} on {scores['dataset']}, {scores['split']} split\n\n"
        f"{scores['images']} spliced images; {scores['authentic_images']} authentic images left out of these means. "
        f"Intervals are bootstrap 95 % intervals over images.{border}\n\n"
        f"Headline: F1 and MCC {HEADLINE} (*best*); beside it {HALF}. Means are over the images that a row can judge; "
        f"*of all* counts 0 for the others, and rows are in its order. {note}\n\n"
        f"{noted}{missing}## Table 1: F1 and MCC\n\n{markdown(first)}\n"
        f"## Table 2: patch labels and pixels rightly predicted at 0.5\n\n{markdown(second)}\n"
        f"## Authentic images\n\n{markdown(_detection(scores))}\n"
        f"{beside}"
        f"## Every convention\n\n{validation}{_every_convention(scores)}"
    )


def _detection(scores: Mapping[str, Any]) -> Table:
    """Image-level scores of the rows that have any."""
    return [
        {
            "row": row_name(row["method"], row["crf"]),
            f"AUC of images ({found['image_score']})": with_interval(found, "auc"),
            "pixels of authentic images marked at 0.5": f"{found['false_positive_pixels']:.2%}",
            f"false alarms ({found['alarm']})": f"{found['false_alarms']:.2%}",
            "spliced images that raise it": f"{found['detections']:.2%}",
            **_at_false_alarms(found),
            **_of_score(found["score"]),
            "images": f"{found['images']['spliced']} spliced, {found['images']['authentic']} authentic",
        }
        for row in scores["rows"]
        if (found := row["detection"]) is not None
    ]


def _at_false_alarms(found: Mapping[str, Any]) -> dict[str, str]:
    at_rate = found["at_false_alarms"]
    return {
        f"{title} at 10 % false alarms": NOTHING if at_rate is None else with_interval(at_rate, score)
        for score, title in (("f1", "F1"), ("mcc", "MCC"))
    }


def _of_score(found: Mapping[str, Any] | None) -> dict[str, str]:
    titles = {"auc": "AUC of the score", "balanced_accuracy": "balanced accuracy", "ece": "calibration error (ECE)"}
    return {title: NOTHING if found is None else with_interval(found, score) for score, title in titles.items()}


def _every_convention(scores: Mapping[str, Any]) -> str:
    """One table per convention, since numbers under different conventions are not comparable."""
    parts = []
    for convention in CONVENTIONS:
        try:
            entries = [find(row["scores"], convention) for row in scores["rows"]]
        except KeyError:
            continue
        heading = f"{convention}" + " (headline)" * (convention == HEADLINE)
        lines = [
            {"row": row_name(row["method"], row["crf"]), "images": str(row["images"])} | _cells(entry)
            for row, entry in zip(scores["rows"], entries, strict=True)
        ]
        parts.append(f"### {heading[0].upper()}{heading[1:]}\n\n{markdown(lines)}")
    return "\n".join(parts)


def _cells(entry: Mapping[str, Any]) -> dict[str, str]:
    return {
        title: with_interval(entry, score)
        for title, score in (("F1", "f1"), ("MCC", "mcc"), ("IoU", "iou"), ("AUC", "auc"))
    }


def markdown(table: Table) -> str:
    """A table in Markdown."""
    if not table:
        return f"{NOTHING}\n"
    head = [f"| {' | '.join(table[0])} |", f"|{'---|' * len(table[0])}"]
    return "\n".join([*head, *(f"| {' | '.join(line.values())} |" for line in table)]) + "\n"


def _csv(table: Table) -> str:
    text = io.StringIO()
    if table:
        writer = csv.DictWriter(text, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")  # Paths need not be UTF-8.
