"""The result of an evaluation for people: a table for the terminal, and one HTML file that needs nothing else."""

import html
import json
import math
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8, UInt16

from splice_jax import metrics
from splice_jax.evaluation import pictures, protocol, published
from splice_jax.evaluation.image_scores import ImageScores
from splice_jax.evaluation.protocol import HALF, HEADLINE
from splice_jax.evaluation.rows import TRIVIAL, main_row, row_name


@dataclass(frozen=True, eq=False)
class Picture:
    """One image of the report, with the maps and scores of the rows that are shown."""

    name: str
    image: UInt8[np.ndarray, "height width 3"]
    mask: Bool[np.ndarray, "height width"]
    maps: Mapping[str, UInt16[np.ndarray, "height width"]]
    scores: Mapping[str, ImageScores]


def title(scores: Mapping[str, Any]) -> str:
    """`sgn+crf on columbia, test split`, or on the name that the evaluation was given."""
    name = scores["config"].get("evaluation_name") or f"{scores['dataset']}, {scores['split']} split"
    return f"{main_row(_names(scores))} on {name}"


def headline(scores: Mapping[str, Any]) -> str:
    """What the headline numbers are, in full."""
    border = scores.get("ignore_border", 0)
    without = f", without the pixels within {border} of a mask's boundary" if border else ""
    return f"F1 and MCC {HEADLINE}, over {scores['images']} spliced images{without}, with bootstrap 95 % intervals"


def text_table(scores: Mapping[str, Any]) -> str:
    """The scores for a terminal, the headline named in full above them."""
    lines: list[tuple[str, ...]] = [("row", "F1 best", "MCC best", "F1 at 0.5", "MCC at 0.5", "s/image")]
    for row in scores["rows"]:
        entries = [protocol.find(row["scores"], convention) for convention in (HEADLINE, HALF)]
        cells = [_with_interval(entry, score) for entry in entries for score in ("f1", "mcc")]
        lines.append((row_name(row["method"], row["crf"]), *cells, f"{row['seconds_per_image']:.2f}"))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    body = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    body.insert(1, "  ".join("-" * width for width in widths))
    above = [title(scores), f"headline (best): {headline(scores)}; beside it {HALF}", ""]
    return "\n".join([*above, *body])


def write(path: Path, scores: Mapping[str, Any], images: Iterable[Picture]) -> None:
    """Writes the report.

    Args:
      path: of the file.
      scores: the content of scores.json.
      images: in the order in which they shall stand; taken one at a time, so that any number fits into memory.
    """
    about = main_row(_names(scores))
    shown = [name for name in _names(scores) if name not in TRIVIAL] or _names(scores)
    page = string.Template(resources.files("splice_jax.evaluation").joinpath("report.html").read_text(encoding="utf-8"))
    filled = page.substitute(
        title=html.escape(title(scores)),
        headline=headline(scores),
        beside=str(HALF),
        facts=_facts(scores),
        measured=_measured(scores),
        crf=_crf(scores),
        published=_published(),
        accuracies=_accuracies(),
        main_row=html.escape(about),
        columns=3 + len(shown),
        false_positive=_rgb(pictures.FALSE_POSITIVE),
        miss=_rgb(pictures.MISS),
        heat=pictures.HEAT_CSS,
        config=html.escape(json.dumps(scores["config"], indent=2, sort_keys=True)),
        gallery="\0",
    )
    before, after = filled.split("\0")
    with path.open("w", encoding="utf-8") as file:
        file.write(before)
        for rank, picture in enumerate(images, start=1):
            file.write(_article(rank, picture, about))
        file.write(after)


def _names(scores: Mapping[str, Any]) -> list[str]:
    return [row_name(row["method"], row["crf"]) for row in scores["rows"]]


def _with_interval(entry: Mapping[str, Any], score: str) -> str:
    low, high = entry[f"{score}_ci95"]
    return f"{_decimal(entry[score])} [{_decimal(low)}, {_decimal(high)}]"


def _decimal(value: float) -> str:
    """Three decimals, without a minus sign on zero."""
    return f"{round(value, 3) + 0:.3f}"


def _rgb(colour: tuple[int, int, int]) -> str:
    return " ".join(map(str, colour))


def _facts(scores: Mapping[str, Any]) -> str:
    facts = {
        "data set": scores["dataset"],
        "split": scores["split"],
        "spliced images": scores["images"],
        "authentic images, left out of all means": scores["authentic_images"],
        "commit": scores["commit"],
    }
    return "".join(f"<li>{name}: <b>{html.escape(str(value))}</b></li>" for name, value in facts.items())


def _crf(scores: Mapping[str, Any]) -> str:
    section = scores["config"].get("crf", {})
    if all(row["crf"] == "none" for row in scores["rows"]) or not section:
        return ""
    return "CRF: " + html.escape(", ".join(f"{name} {value}" for name, value in section.items())) + "."


def _measured(scores: Mapping[str, Any]) -> str:
    about = main_row(_names(scores))
    entries = [protocol.find(row["scores"], HEADLINE) for row in scores["rows"]]
    lowest = {score: min(0.0, *(entry[f"{score}_ci95"][0] for entry in entries)) for score in ("f1", "mcc")}
    body = []
    for row, name in zip(scores["rows"], _names(scores), strict=True):
        kind = "main" if name == about else "trivial" if name in TRIVIAL else ""
        body.append(f'<tr class="{kind}"><th scope="row">{html.escape(name)}</th>{_measured_cells(row, lowest)}</tr>')
    return (
        '<table><thead><tr><th rowspan="2" scope="col">row</th>'
        '<th colspan="3" class="group">best threshold per image</th><th colspan="3" class="group">threshold 0.5</th>'
        '<th rowspan="2" class="group">AUC</th><th rowspan="2">patch<br>accuracy</th>'
        '<th rowspan="2">seconds<br>per image</th></tr><tr>'
        + "<th>F1</th><th>MCC</th><th>IoU</th>" * 2
        + f"</tr></thead><tbody>{''.join(body)}</tbody></table>"
    )


def _measured_cells(row: Mapping[str, Any], lowest: Mapping[str, float]) -> str:
    cells = []
    for convention in (HEADLINE, HALF):
        entry = protocol.find(row["scores"], convention)
        for score in ("f1", "mcc"):
            low, high = entry[f"{score}_ci95"]
            bar = _interval(entry[score], low, high, lowest[score]) if convention == HEADLINE else ""
            first = ' class="first"' if score == "f1" else ""
            cells.append(
                f"<td{first}>{_decimal(entry[score])}<small>{_decimal(low)} – {_decimal(high)}</small>{bar}</td>"
            )
        cells.append(f"<td>{entry['iou']:.3f}</td>")
    area, accuracy = protocol.find(row["scores"], HEADLINE)["auc"], row["patch_accuracy"]
    cells.append(f'<td class="first">{"–" if area is None else f"{area:.3f}"}</td>')
    both = "–" if accuracy is None else f"{accuracy['classification']:.1%}<small>{accuracy['segmentation']:.1%}</small>"
    cells.append(f"<td>{both}</td><td>{row['seconds_per_image']:.2f}</td>")
    return "".join(cells)


def _interval(mean: float, low: float, high: float, lowest: float) -> str:
    """An interval on a line from `lowest` to 1."""
    x_low, x_mean, x_high = (4 + 92 * (value - lowest) / (1 - lowest) for value in (low, mean, high))
    return (
        '<svg class="interval" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<line class="track" x1="4" x2="96" y1="4" y2="4"/>'
        f'<line class="band" x1="{x_low:.1f}" x2="{x_high:.1f}" y1="4" y2="4"/>'
        f'<circle class="mean" cx="{x_mean:.1f}" cy="4" r="3.2"/></svg>'
    )


def _published() -> str:
    body = []
    for figure in published.SCORES:
        cells = [cell for name in published.DATASETS for cell in figure.scores.get(name, (None, None))]
        body.append(_published_line(figure, ["–" if cell is None else f"{cell:.3f}" for cell in cells]))
    return _published_table("method", "<th>F1</th><th>MCC</th>", body)


def _accuracies() -> str:
    body = []
    for figure in published.ACCURACIES:
        cells = [cell for name in published.DATASETS for cell in figure.accuracy[name]]
        body.append(_published_line(figure, [f"{cell:.1%}" for cell in cells]))
    return _published_table("patch accuracy", "<th>label</th><th>pixel</th>", body)


def _published_table(first: str, pair: str, body: Sequence[str]) -> str:
    groups = "".join(f'<th colspan="2" class="group">{name}</th>' for name in published.DATASETS.values())
    return (
        f'<table><thead><tr><th rowspan="2">{first}</th>{groups}<th rowspan="2" class="group">source</th></tr>'
        f"<tr>{pair * len(published.DATASETS)}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    )


def _published_line(figure: published.Published | published.PublishedAccuracy, cells: Sequence[str]) -> str:
    pairs = zip(cells[::2], cells[1::2], strict=True)
    columns = "".join(f'<td class="first">{left}</td><td>{right}</td>' for left, right in pairs)
    source = f'<td class="words first">{html.escape(figure.source)}; {html.escape(figure.certainty)}</td>'
    return f'<tr><th scope="row">{html.escape(figure.method)}</th>{columns}{source}</tr>'


def _article(rank: int, picture: Picture, about: str) -> str:
    height, width = picture.mask.shape
    name = html.escape(picture.name)
    threshold = picture.scores[about].best_thresholds.f1
    predicted = picture.maps[about] / metrics.LEVELS >= threshold
    figures = [
        _figure(pictures.photograph(picture.image), f"{name}: image", "image", f"{width} × {height}", picture),
        _figure(pictures.mask(picture.mask), f"{name}: ground truth", "ground truth", _share(picture), picture),
    ]
    for row, levels in picture.maps.items():
        best = picture.scores[row].at["best-per-image"]
        caption = f"best: F1 {best.f1:.3f}, MCC {best.mcc:.3f}"
        figures.append(_figure(pictures.heat_map(levels), f"{name}: map of {row}", row, caption, picture))
    wrong = pictures.errors(picture.image, picture.mask, predicted)
    figures.append(_figure(wrong, f"{name}: errors of {about}", f"errors of {about}", _threshold(threshold), picture))
    return f"<article>{_scores_line(rank, picture, about)}<div class=strip>{''.join(figures)}</div></article>\n"


def _threshold(threshold: float) -> str:
    ends = {0.0: "threshold 0: everything is called spliced", math.inf: "best is to call nothing spliced"}
    return ends.get(threshold, f"threshold {threshold:.3g}")


def _share(picture: Picture) -> str:
    return f"{picture.mask.mean():.1%} spliced"


def _scores_line(rank: int, picture: Picture, about: str) -> str:
    scores = picture.scores[about]
    best, half = scores.at["best-per-image"], scores.at["0.5"]
    return (
        f"<header><h3>{rank}. {html.escape(picture.name)}</h3>"
        f"<span>best: F1 <b>{best.f1:.3f}</b>, MCC <b>{best.mcc:.3f}</b></span>"
        f"<span>at 0.5: F1 <b>{half.f1:.3f}</b>, MCC <b>{half.mcc:.3f}</b></span>"
        f"<span>AUC <b>{scores.auc:.3f}</b></span></header>"
    )


def _figure(source: str, alternative: str, caption: str, below: str, picture: Picture) -> str:
    height, width = picture.mask.shape
    return (
        f'<figure><img loading="lazy" decoding="async" width="{width}" height="{height}" src="{source}" '
        f'alt="{alternative}"><figcaption>{html.escape(caption)}<small>{below}</small></figcaption></figure>'
    )
