"""Mean and spread over runs that differ only in their seeds, next to the published figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from splice_jax.errors import UserError, listed, one_line
from splice_jax.evaluation.output import published, scores_json
from splice_jax.evaluation.output.tables import NOTHING, decimal, markdown, published_scores
from splice_jax.evaluation.rows import names, notes
from splice_jax.evaluation.scores.conventions import HALF, HEADLINE, convention_of, find
from splice_jax.files import parsed_json
from splice_jax.runs import schema

SEEDS = ("seed", "split_seed")
_MAY_DIFFER = {*schema.SAME_SCORE, "workdir", "checkpoint"}


def summarize(runs: Sequence[Path], *, evaluation: str = "") -> dict[str, Any]:
    """Mean and sample standard deviation over runs of every number of their scores.json.

    Args:
      runs: folders of runs, or scores.json files.
      evaluation: which folder in RUN/evaluation to use if a run has several.

    Raises:
      UserError: a run has no scores or several, a run is given twice, or runs differ in data set, split, rows or a
        field of their configuration other than the seeds.
    """
    paths = [_scores_path(run, evaluation) for run in runs]
    twice = [str(run) for run, path in zip(runs, paths, strict=True) if paths.count(path) > 1]
    if twice:
        raise UserError(f"{twice[0]}: given twice; give each run once")
    contents = [read_scores(path) for path in paths]
    for run, content in zip(runs[1:], contents[1:], strict=True):
        _check_alike(runs[0], contents[0], run, content)
    return {
        "dataset": contents[0]["dataset"],
        "split": contents[0]["split"],
        "runs": [
            {"scores": str(path), "commit": content["commit"]}
            | {seed: content["config"].get(seed) for seed in SEEDS}
            | {"others": {row: run["checkpoint"] for row, run in content.get("runs", {}).items()}}
            for path, content in zip(paths, contents, strict=True)
        ],
        "rows": [_row([content["rows"][index] for content in contents]) for index in range(len(contents[0]["rows"]))],
    }


def text(summary: Mapping[str, Any]) -> str:
    """The summary as a table, with measured and published figures in separate columns."""
    runs = summary["runs"]
    seeds = ", ".join("/".join(str(run[seed]) for seed in SEEDS if run[seed] is not None) for run in runs)
    spread = f"mean ± standard deviation over {len(runs)} runs" if len(runs) > 1 else "one run, so no spread"
    figures = {each.row: each for each in published.SCORES if summary["dataset"] in each.scores}
    lines = [
        {"row": name, "images": _images(row["images"]), **_cells(row)}
        | published_scores(figures.get(name), summary["dataset"])
        for name, row in zip(names(summary), summary["rows"], strict=True)
    ]
    return (
        f"{summary['dataset']}, {summary['split']} split, seeds {seeds}: {spread}\n"
        f"headline (best): {HEADLINE}; beside it {HALF}\n\n{markdown(lines)}"
        + "".join(f"\n{line}" for line in notes(summary))
    )


def same_seeds(summary: Mapping[str, Any]) -> str:
    """A warning if two runs share their seeds or a row, so that their spread means little; otherwise empty."""
    seen: dict[tuple[Any, ...], str] = {}
    shared: dict[tuple[str, str], str] = {}
    for run in summary["runs"]:
        seeds = tuple(run[seed] for seed in SEEDS)
        if seeds in seen:
            return f"{seen[seeds]} and {run['scores']} have the same seeds"
        seen[seeds] = run["scores"]
        for other in run["others"].items():
            if other in shared:
                return f"{shared[other]} and {run['scores']} took {other[0]} from the same run"
            shared[other] = run["scores"]
    return ""


def write(path: Path, summary: Mapping[str, Any]) -> None:
    """Writes the summary as JSON."""
    scores_json.write_json(path, summary)


def _scores_path(run: Path, evaluation: str) -> Path:
    if run.is_file():
        return run.resolve()
    if not run.is_dir():
        raise UserError(f"{run}: no such run; give the folder of a run, or a scores.json")
    pattern = f"evaluation/{evaluation or '*'}/scores.json"
    found = sorted([*run.glob(pattern), *run.glob("scores.json")])
    if not found:
        hint = f"run splice-jax evaluate --workdir={run} first"
        raise UserError(f"{run}: holds no {pattern}; {hint}")
    if len(found) > 1:
        several = listed(path.parent.name for path in found)
        raise UserError(f"{run}: holds several evaluations ({several}); choose one by --evaluation=NAME")
    return found[0].resolve()


def read_scores(path: Path) -> dict[str, Any]:
    """The content of a scores.json.

    Raises:
      UserError: the file is missing, or is not a scores.json.
    """
    try:
        content = parsed_json(path.read_text(encoding="utf-8"))
        for row in content["rows"]:
            find(row["scores"], HEADLINE)
        names(content)
        return {**content, "dataset": content["dataset"], "split": content["split"], "config": content["config"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read as scores ({one_line(error)}); evaluate the run again") from error


def _check_alike(first: Path, one: Mapping[str, Any], second: Path, other: Mapping[str, Any]) -> None:
    """Raises a `UserError` that names what differs."""
    sides = [
        {
            "dataset": content["dataset"],
            "split": content["split"],
            "images": content["images"],
            "rows": ", ".join(names(content)),
            "conventions": len(content["rows"][0]["scores"]),
            **_flat(content["config"]),
        }
        for content in (one, other)
    ]
    if all("runs" in content for content in (one, other)):  # Earlier versions did not record this.
        for side, content in zip(sides, (one, other), strict=True):
            side |= {f"note of {row['method']}": row["note"] for row in content["rows"]}
            side |= _flat(content["runs"], "runs.")
    for field in dict.fromkeys([*sides[0], *sides[1]]):
        values = [side.get(field) for side in sides]
        if field.rpartition(".")[2] not in _MAY_DIFFER and values[0] != values[1]:
            raise UserError(
                f"{first} and {second}: differ in {field} ({values[0]!r} and {values[1]!r}), so they have no common "
                "mean; summarize them apart"
            )


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in config.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return found


def _row(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One row over all runs."""
    scores = []
    for entry in rows[0]["scores"]:
        convention = convention_of(entry)
        entries = [find(row["scores"], convention) for row in rows]
        spread = {score: _spread([each[score] for each in entries]) for score in ("f1", "mcc", "iou", "auc")}
        everywhere = {name: _spread([each.get(name) for each in entries]) for name in ("f1_all", "mcc_all", "iou_all")}
        scores.append(dict(convention.__dict__) | spread | everywhere)
    heads = [row["patch_accuracy"] for row in rows]
    accuracy = None
    if all(head is not None for head in heads):
        accuracy = {name: _spread([head[name] for head in heads]) for name in ("classification", "segmentation")}
    return {
        "method": rows[0]["method"],
        "crf": rows[0]["crf"],
        "note": rows[0].get("note", ""),
        "scores": scores,
        "patch_accuracy": accuracy,
        "images": [row.get("images") for row in rows],
    }


def _spread(values: Sequence[float | None]) -> dict[str, Any]:
    """Mean and standard deviation; null if a run has no value. A single run has no deviation."""
    defined = [value for value in values if value is not None]
    if len(defined) < len(values):
        return {"mean": None, "std": None, "values": list(values)}
    return {"mean": fmean(defined), "std": stdev(defined) if len(defined) > 1 else None, "values": defined}


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for title, convention in (("best", HEADLINE), ("at 0.5", HALF)):
        entry = find(row["scores"], convention)
        found |= {f"measured {score.upper()} {title}": _plus_minus(entry[score]) for score in ("f1", "mcc")}
    everywhere = find(row["scores"], HEADLINE)
    found |= {f"measured {score.upper()} of all": _plus_minus(everywhere[f"{score}_all"]) for score in ("f1", "mcc")}
    accuracy = row["patch_accuracy"] or dict.fromkeys(("classification", "segmentation"))
    titles = {"classification": "measured patch labels", "segmentation": "measured pixels"}
    return found | {titles[head]: _plus_minus(value) for head, value in accuracy.items()}


def _images(counts: Sequence[int | None]) -> str:
    """Over how many images the runs scored a row; earlier versions did not record this."""
    known = [count for count in counts if count is not None]
    if len(known) < len(counts):
        return NOTHING
    return str(min(known)) if min(known) == max(known) else f"{min(known)} to {max(known)}"


def _plus_minus(spread: Mapping[str, Any] | None) -> str:
    if spread is None or spread["mean"] is None:
        return NOTHING
    return decimal(spread["mean"]) + (f" ± {decimal(spread['std'])}" if spread["std"] is not None else "")
