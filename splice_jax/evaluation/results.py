"""What an evaluation found, and the files it is written to."""

import csv
import json
import math
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import splice_jax
from splice_jax.evaluation import protocol
from splice_jax.evaluation.protocol import ImageScores
from splice_jax.files import replacing


class Accuracy(NamedTuple):
    """The patches and the pixels of one image, and how many of either were predicted rightly."""

    patches: int
    patches_right: int
    pixels: int
    pixels_right: int


@dataclass(frozen=True)
class ImageResult:
    """What one row found on one image."""

    index: int
    """Of the image in the split."""
    image: str
    height: int
    width: int
    scores: ImageScores
    seconds: float
    accuracy: Accuracy | None = None
    """Of the two heads; None for rows without a label head, and after a CRF."""


def row_name(method: str, crf: str) -> str:
    """A row as it is printed: `sgn`, or `sgn+crf` whichever CRF it is."""
    return method if crf == "none" else f"{method}+crf"


def row_entry(method: str, crf: str, results: Sequence[ImageResult], *, seed: int) -> dict[str, Any]:
    """One of the `rows` of scores.json.

    `patch_accuracy` is over all patches and all pixels of the split; `seconds_per_image` is the median, which the first
    image's compilation does not move.
    """
    accuracies = [result.accuracy for result in results if result.accuracy is not None]
    return {
        "method": method,
        "crf": crf,
        "scores": protocol.summarize([result.scores for result in results], seed=seed),
        "patch_accuracy": _patch_accuracy(accuracies) if accuracies else None,
        "seconds_per_image": round(median(result.seconds for result in results), 4),
    }


def _patch_accuracy(accuracies: Sequence[Accuracy]) -> dict[str, float]:
    total = Accuracy(*(sum(column) for column in zip(*accuracies, strict=True)))
    return {
        "classification": total.patches_right / total.patches,
        "segmentation": total.pixels_right / total.pixels,
    }


def write_scores(path: Path, scores: Mapping[str, Any]) -> None:
    """Writes scores.json."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(scores, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_per_image(path: Path, rows: Sequence[tuple[str, str]], results: Sequence[Sequence[ImageResult]]) -> None:
    """Writes per_image.csv: one line per row and image. An undefined AUC is an empty cell, a threshold may be `inf`.

    Args:
      path: of the file.
      rows: method and CRF of each row.
      results: of each row.
    """
    lines = [
        {"method": method, "crf": crf} | _line(result)
        for (method, crf), of_row in zip(rows, results, strict=True)
        for result in of_row
    ]
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["image", *(name for name in lines[0] if name != "image")])
        writer.writeheader()
        writer.writerows(lines)


def _line(result: ImageResult) -> dict[str, Any]:
    best, half = result.scores.at["best-per-image"], result.scores.at["0.5"]
    return {
        "image": result.image,
        "width": result.width,
        "height": result.height,
        "spliced_share": result.scores.spliced_share,
        **{f"{name}_best": value for name, value in best._asdict().items()},
        **{f"{name}_threshold": value for name, value in result.scores.best._asdict().items()},
        **{f"{name}_at_0.5": value for name, value in half._asdict().items()},
        "auc": "" if math.isnan(result.scores.auc) else result.scores.auc,
        "seconds": round(result.seconds, 4),
    }


def commit() -> str:
    """The commit of the checkout that runs, with `-dirty` where it was changed since; else the package's version."""
    checkout = Path(splice_jax.__file__).parents[1]
    version = f"splice_jax {splice_jax.__version__}"
    if not (checkout / ".git").exists():
        return version
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return version
