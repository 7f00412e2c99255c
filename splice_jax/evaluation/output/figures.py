"""Pictures of an evaluation as PNG files: the paper's comparison of maps, and score against degradation."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from splice_jax.evaluation.maps.degradations import KINDS
from splice_jax.evaluation.output.tables import NOTHING
from splice_jax.evaluation.rows import TRIVIAL, main_row, names, row_name
from splice_jax.evaluation.scores.conventions import HEADLINE, find
from splice_jax.files import replacing
from splice_jax.metrics import LEVELS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from splice_jax.evaluation.output.report.gallery import Picture

COMPARED = 6
"""Images in the comparison, spread evenly from best to worst."""

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
_MARKS = "osD^vPX*"
_WIDTH = 2.4
"""Width of a column in inches."""


def compared_rows(scores: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The rows in the comparison figure as (title, row): the best rival by headline F1, ours without and with CRF.

    Ours is the run's own method or, if that was not scored, the row the evaluation is about.
    """
    shown = names(scores)
    own = scores["config"].get("method", "")
    ours = [name for name in (own, f"{own}+crf") if name in shown] or [main_row(shown)]
    rivals = {
        name: f1
        for name, row in zip(shown, scores["rows"], strict=True)
        if name not in TRIVIAL and name not in ours and (f1 := find(row["scores"], HEADLINE)["f1"]) is not None
    }
    best = sorted(rivals, key=lambda name: -rivals[name])[:1]
    return [(f"rival: {name}", name) for name in best] + [(f"ours: {name}", name) for name in ours]


def write_comparison(path: Path, scores: Mapping[str, Any], shown: Sequence[int], images: "Iterable[Picture]") -> None:
    """Writes the comparison figure: image, rival (if one is scored), ours without CRF, ours, ground truth.

    Args:
      path: of the PNG.
      scores: the content of scores.json.
      shown: the ranks of the images, 0 for the best.
      images: those images.
    """
    rows = compared_rows(scores)
    titles = ["image", *(title for title, _ in rows), "ground truth"]
    figure = _figure(_WIDTH * len(titles), 2.1 * len(shown) + 0.7)
    axes = figure.subplots(len(shown), len(titles), squeeze=False)
    for line, rank, picture in zip(axes, shown, images, strict=True):
        maps = [_probability(picture, name) for _, name in rows]
        below = [f"rank {rank + 1} of {scores['images']}", *(_f1(picture, name) for _, name in rows), ""]
        for cell, pixels, text in zip(line, [picture.image, *maps, picture.mask], below, strict=True):
            if pixels is None:
                cell.text(0.5, 0.5, NOTHING, ha="center", va="center", transform=cell.transAxes)
                cell.set_box_aspect(picture.mask.shape[0] / picture.mask.shape[1])
            else:
                cell.imshow(_reduced(pixels), cmap="gray", vmin=0, vmax=255 if pixels.dtype == np.uint8 else 1)
            cell.set_xlabel(text, fontsize=8)
            cell.set(xticks=[], yticks=[])
    for cell, title in zip(axes[0], titles, strict=True):
        cell.set_title(title, fontsize=9)
    figure.suptitle(f"F1 {HEADLINE.of_one_image}; images evenly spread from best to worst", fontsize=8)
    _save(figure, path)


def _probability(picture: "Picture", name: str) -> Float32[np.ndarray, "height width"] | None:
    levels = picture.maps.get(name)
    return None if levels is None else (levels / np.float32(LEVELS)).astype(np.float32)


def _f1(picture: "Picture", name: str) -> str:
    if name in picture.undefined:
        return textwrap.shorten(picture.undefined[name], 36, placeholder="…")
    return f"F1 {picture.scores[name].at['best-per-image'].f1:.3f}"


def _reduced(pixels: np.ndarray) -> np.ndarray:
    """Every n-th pixel: a cell of the figure has a few hundred."""
    step = max(1, max(pixels.shape[:2]) // 480)
    return pixels[::step, ::step]


def write_series(path: Path, series: Mapping[str, Any]) -> None:
    """Writes F1 and MCC against the strength of each kind of degradation, with bootstrap 95 % intervals.

    Args:
      path: of the PNG.
      series: the content of degradations.json.
    """
    kinds = list(series["kinds"])
    figure = _figure(4 * len(kinds), 6.8)
    axes = figure.subplots(2, len(kinds), squeeze=False, sharey="row")
    for column, kind in enumerate(kinds):
        strengths, lines = _lines(series, kind)
        for axis, score in zip(axes[:, column], ("f1", "mcc"), strict=True):
            for index, (name, entries) in enumerate(lines.items()):
                _draw(axis, entries, score, name, index)
            axis.set_xticks(range(len(strengths)), strengths)
            axis.grid(alpha=0.3)
        axes[1, column].set_xlabel(series["kinds"][kind]["title"])
    axes[0, 0].set_ylabel("F1")
    axes[1, 0].set_ylabel("MCC")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(6, len(labels)))
    of = f"{series['dataset']}, {series['split']} split, {series['images']} spliced images"
    figure.suptitle(f"{of}\n{series['headline']['words']}", fontsize=9)
    _save(figure, path)


def _lines(series: Mapping[str, Any], kind: str) -> tuple[list[str], dict[str, list[Mapping[str, Any]]]]:
    """The strengths from none to the strongest, and each row's headline entries there."""
    points = sorted(
        (point for point in series["degraded"] if point["kind"] == kind),
        key=lambda point: point["strength"],
        reverse=KINDS[kind].falling,
    )
    rows = [series["undegraded"], *(point["rows"] for point in points)]
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for row in (row for at_strength in rows for row in at_strength):
        lines.setdefault(row_name(row["method"], row["crf"]), []).append(
            {**find(row["scores"], HEADLINE), "images": row["images"], "of": series["images"]}
        )
    return ["none", *(f"{point['strength']:g}" for point in points)], lines


def _draw(axis: Any, entries: Sequence[Mapping[str, Any]], score: str, name: str, index: int) -> None:
    values = np.array([entry[score] for entry in entries], np.float64)  # NaN where a row has no score: a gap.
    low, high = np.array([entry[f"{score}_ci95"] or (np.nan, np.nan) for entry in entries]).T
    style = ":" if name in TRIVIAL else "-"
    colour, mark = _COLOURS[index % len(_COLOURS)], _MARKS[index % len(_MARKS)]
    axis.plot(range(len(values)), values, style, marker=mark, color=colour, label=name)
    for place, (value, entry) in enumerate(zip(values, entries, strict=True)):
        if 0 < entry["images"] < entry["of"]:
            axis.annotate(f"n = {entry['images']}", (place, value), (0, 6), textcoords="offset points", fontsize=7)
    if name not in TRIVIAL:
        axis.fill_between(range(len(values)), low, high, color=colour, alpha=0.15, linewidth=0)


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure  # Takes half a second to import.

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: "Figure", path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)
