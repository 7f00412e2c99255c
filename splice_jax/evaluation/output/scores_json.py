"""The results of an evaluation, and the files of numbers they are written to."""

import csv
import json
import math
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import splice_jax
from splice_jax.evaluation.maps.plan import Key, Plan
from splice_jax.evaluation.maps.truth import fingerprint
from splice_jax.evaluation.rows import row_name
from splice_jax.evaluation.scores import bootstrap, detection
from splice_jax.evaluation.scores.conventions import HEADLINE, SCORES, Convention, conventions
from splice_jax.evaluation.scores.row import POINTS, differences
from splice_jax.evaluation.scores.scoring import Accuracy, RowResult
from splice_jax.files import replacing


def content(
    planned: Plan, found: Mapping[Key, RowResult], header: Mapping[str, Any], chosen_on: Mapping[str, Any], *, seed: int
) -> dict[str, Any]:
    """The content of scores.json.

    Args:
      planned: the evaluation.
      found: its rows.
      header: see `evaluate.write`.
      chosen_on: the split and images on which the threshold `validation` is chosen, or the reason why there is none.
      seed: seed of the bootstrap.
    """
    truths, notes = planned.main.truths, header.get("notes", {})
    spliced, listed = sum(truth.spliced for truth in truths), conventions(validation=planned.validation is not None)
    return {
        "dataset": header["dataset"],
        "split": header["split"],
        "images": spliced,
        "authentic_images": len(truths) - spliced,
        "config": header["config"],
        "commit": header["commit"],
        "rows": [row_entry(key, row, listed, note=notes.get(key[0], ""), seed=seed) for key, row in found.items()],
        "unreadable": header.get("unreadable", 0),
        "runs": header.get("runs", {}),
        "headline": HEADLINE.__dict__ | {"words": str(HEADLINE)},
        "validation": chosen_on,
        "ignore_border": planned.ignore_border,
        "bootstrap": {"method": bootstrap.METHOD, "resamples": bootstrap.RESAMPLES, "seed": seed},
        "data": {
            "version": getattr(planned.main.examples, "version", ""),
            "fingerprint": fingerprint(truths),
        },
        "differences": differences({row_name(*key): row.scores for key, row in found.items()}, seed=seed),
    }


def row_entry(
    key: Key, result: RowResult, listed: Sequence[Convention], *, note: str = "", seed: int
) -> dict[str, Any]:
    """One of the `rows` of scores.json.

    `patch_accuracy` is over all patches and all scored pixels of the split's spliced images; `seconds_per_image` is the
    median, which the first image's compilation does not affect; `detection` is null without authentic images. `images`
    counts the spliced images that have a map, over which means are; `f1_all`, `mcc_all` and `iou_all` are means over
    all spliced images, 0 where there is no map; `undefined` counts the reasons why the others have none. If none has a
    map, every score is null. `note` says how a network differs from the published one and whether it was trained on
    other data; `beside` holds means over images of the row's other scores, such as `camera_response`'s `edge_auc`,
    with the number of images.
    """
    method, crf = key
    entries = result.scores.entries(seed=seed, conventions=listed)
    return {
        "method": method,
        "crf": crf,
        "scores": [entry | _over_all(entry, result) for entry in entries],
        "patch_accuracy": _patch_accuracy(result),
        "seconds_per_image": round(median(result.seconds), 4) if result.seconds else None,
        "detection": detection.summarize(
            result.levels,
            seed=seed,
            at_rate=result.scores.at_false_alarms(seed=seed),
            calibrated=result.calibrated,
        ),
        "images": len(result.scores.images),
        "undefined": result.reasons(),
        "note": note,
        "beside": _beside(result, seed=seed),
    }


def _over_all(entry: Mapping[str, Any], result: RowResult) -> dict[str, float | None]:
    """Means over all spliced images, those that a row cannot judge counted as 0; null where pixels are pooled."""
    judged = len(result.scores.images)
    every = judged + sum(result.reasons().values())
    if entry["average"] != "images" or not every:
        return dict.fromkeys(f"{name}_all" for name in SCORES)
    return {f"{name}_all": (entry[name] or 0.0) * judged / every for name in SCORES}


def _beside(result: RowResult, *, seed: int) -> dict[str, Any]:
    found = {}
    for name in sorted({name for scores in result.beside for name in scores}):
        values = np.array([scores[name] for scores in result.beside if name in scores])
        interval = bootstrap.of_mean(values, seed=seed)
        found[name] = {"mean": float(values.mean()), "mean_ci95": interval, "images": len(values)}
    return found


def _patch_accuracy(result: RowResult) -> dict[str, float] | None:
    accuracies = [accuracy for accuracy in result.accuracies if accuracy is not None]
    if not accuracies:
        return None
    labels = Accuracy(*(sum(column) for column in zip(*accuracies, strict=True)))
    tp, fp, fn, tn = (int(sum(image.half[kind] for image in result.scores.images)) for kind in range(4))
    return {"classification": labels.right / labels.patches, "segmentation": (tp + tn) / (tp + fp + fn + tn)}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a file of numbers, such as scores.json."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def curves(rows: Mapping[Key, RowResult]) -> dict[str, Any]:
    """The content of curves.json: every row's F1 and MCC against the threshold."""
    return {
        "thresholds": [point / (POINTS - 1) for point in range(POINTS)],
        "rows": [{"method": method, "crf": crf} | row.scores.curves() for (method, crf), row in rows.items()],
    }


def write_per_image(path: Path, rows: Mapping[Key, RowResult]) -> None:
    """Writes per_image.csv: one line per row and image, including authentic images.

    Missing values are empty cells: all localization scores of an authentic image, the AUC of an image that is spliced
    everywhere, and everything but the reason in `undefined` if the row is undefined. A threshold may be `inf`.
    """
    lines: list[dict[str, Any]] = [
        {"image": line["image"], "method": method, "crf": crf} | line
        for (method, crf), result in rows.items()
        for line in _lines(result)
    ]
    columns = dict.fromkeys(name for line in sorted(lines, key=len, reverse=True) for name in line)
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


_COLUMNS = {
    "best-per-image": "_best",
    "0.5": "_at_0.5",
    "best-per-dataset": "_best_dataset",
    "validation": "_validation",
}


def _lines(result: RowResult) -> Iterator[dict[str, Any]]:
    localized, mapped = _localized(result), zip(result.levels, result.seconds, result.beside, strict=True)
    for truth in result.truths:
        first = {"image": truth.name, "width": truth.width, "height": truth.height, "authentic": int(not truth.spliced)}
        if truth.name in result.undefined:
            yield first | {"undefined": result.undefined[truth.name]}
            continue
        level, seconds, beside = next(mapped)
        last = {"image_score": level.score, "marked_share_at_0.5": level.marked, "undefined": "", "seconds": seconds}
        yield first | (next(localized) if truth.spliced else {}) | dict(beside) | last


def _localized(result: RowResult) -> Iterator[dict[str, Any]]:
    """The columns of each spliced image."""
    columns = {
        f"{name}{suffix}{end}": result.scores.values(convention, name)
        for polarity, end in (("given", ""), ("oracle", "_oracle"))
        for threshold, suffix in _COLUMNS.items()
        for name in SCORES
        if (convention := Convention(threshold, "images", polarity)) in result.scores.conventions
    }
    for index, image in enumerate(result.scores.images):
        thresholds = {f"{name}_threshold": value for name, value in image.best_thresholds._asdict().items()}
        yield {
            "spliced_share": image.spliced_share,
            **{column: float(values[index]) for column, values in columns.items()},
            **thresholds,
            "auc": "" if math.isnan(image.auc) else image.auc,
        }


def commit() -> str:
    """The commit of the running checkout, with `-dirty` if it was changed; otherwise the package's version."""
    checkout = Path(splice_jax.__file__).parents[1]
    version = f"splice_jax {splice_jax.__version__}"
    if not (checkout / ".git").exists():
        return version
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return version
