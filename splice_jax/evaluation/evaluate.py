"""Evaluates rows on a split: makes their maps, or takes the cached ones, scores these and writes all files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

import splice_jax
from splice_jax import crf, data
from splice_jax.crf import CrfParameters
from splice_jax.data import Example
from splice_jax.errors import UserError
from splice_jax.evaluation.maps.degradations import Degradation, parse
from splice_jax.evaluation.maps.make import Row
from splice_jax.evaluation.maps.plan import Key, Plan, Validation, plan
from splice_jax.evaluation.maps.provenance import checkpoint_digest, origin
from splice_jax.evaluation.maps.truth import fingerprint
from splice_jax.evaluation.output import figures, scores_json, series, tables
from splice_jax.evaluation.output.report import page
from splice_jax.evaluation.output.report.gallery import Gallery
from splice_jax.evaluation.rows import TRIVIAL, row_name
from splice_jax.evaluation.runs import Run, named_runs, runs_by_row
from splice_jax.evaluation.scores import bootstrap
from splice_jax.evaluation.scores.conventions import HEADLINE, conventions
from splice_jax.evaluation.scores.row import differences
from splice_jax.evaluation.scores.scoring import RowResult
from splice_jax.files import replacing
from splice_jax.methods import Localizer, localizer, names
from splice_jax.methods.trained.family import HOMES as TRAINED

VALIDATION = "val"
"""The split on which a threshold is chosen."""


def evaluate(config: ConfigDict, workdir: Path) -> Path:
    """Evaluates a run, or any rows, on a split of a data set; prints a table and returns the report's path.

    Writes scores.json, per_image.csv, curves.json, the paper's tables, comparison.png, report.html and the maps into
    WORKDIR/evaluation/DATASET-SPLIT; with degradations, degradations.json and degradations.png as well.

    Args:
      config: the run's configuration, of which `dataset`, `data_dir`, `split`, `methods`, `runs`, `evaluation_name`,
        `crf`, `degradations`, `ignore_border`, `rescore` and `seed` say what is done. With `rescore` no network runs.
      workdir: the run.

    Raises:
      UserError: an unknown row or data set, missing data, an unfinished run, a missing CRF, an unwritable folder, a
        field out of range; with `rescore`, maps that are missing or made from something else.
    """
    runs, degradations = runs_by_row(config, workdir), parse(config.degradations)
    named = row_names(config, runs)
    _check_runs(config, runs, named)
    ignore_border = config.ignore_border
    if ignore_border < 0:
        raise UserError(f"config.ignore_border: {ignore_border} is less than 0 pixels")
    rows = [] if config.rescore else open_rows(named, config, runs)  # First, for preparing a data set can take long.
    validation, output = validation_images(config), output_folder(config, workdir)
    planned = plan(
        {key: origin(*key, config, runs.get(key[0])) for key in (_key(name, config) for name in named)},
        _open(config, config.split, include_authentic=True),
        output,
        title=f"{config.dataset}: its split {config.split}",
        validation=validation,
        degradations=degradations,
        seed=config.seed,
        ignore_border=ignore_border,
    )
    if config.rescore:
        planned.require()
    else:
        planned.make(rows, CrfParameters.from_config(config.crf))
    used = {method: runs[method] for method, _ in planned.rows if method in runs}
    fields = {name: value for name, value in config.to_dict().items() if name != "rescore"}
    header = {
        "dataset": config.dataset,
        "split": config.split,
        "config": fields,
        "commit": scores_json.commit(),
        "notes": {row: run.note() for row, run in used.items()},
        "runs": {row: _record(run) for row, run in used.items() if run.workdir != workdir},
    }
    scores = score(planned, output, header=header, no_validation=validation.reason, seed=config.seed)
    print(f"{page.text_table(scores)}\n\n{tables.text_differences(scores)}")
    print(f"\nall conventions, the paper's tables: {output / 'tables.md'}\nreport: {output / 'report.html'}")
    return output / "report.html"


def output_folder(config: ConfigDict, workdir: Path) -> Path:
    """Where an evaluation is written."""
    return workdir / "evaluation" / (config.evaluation_name or f"{config.dataset}-{config.split}")


def validation_images(config: ConfigDict) -> Validation:
    """The validation split of the data set that is evaluated, or why it cannot choose a threshold."""
    if config.split in (VALIDATION, "all"):
        return Validation(reason=f"the split that is scored, {config.split}, has the validation images in it")
    try:
        return Validation(_open(config, VALIDATION), "no spliced image in it")
    except UserError as error:
        return Validation(reason=str(error))


def _open(config: ConfigDict, split: str, *, include_authentic: bool = False) -> data.Split:
    where = config.dataset, config.data_dir, split
    return data.open_split(*where, split_seed=config.split_seed, include_authentic=include_authentic)


def _key(name: str, config: ConfigDict) -> Key:
    return name.removesuffix("+crf"), config.crf.backend if name.endswith("+crf") else "none"


def row_names(config: ConfigDict, runs: Mapping[str, Run]) -> list[str]:
    """The rows that `config.methods` names, or those of the runs, the evaluation's own with CRF too; then the trivial.

    Raises:
      UserError: a name that is no row, no name at all, or a CRF that is unknown or not installed.
    """
    own, backend = config.method, config.crf.backend
    chosen = [name.strip() for name in config.methods.split(",") if name.strip()]
    if not chosen:
        trained = dict.fromkeys(run.config.method for run in runs.values())
        refined = f"{own}+crf" if backend != "none" else own
        chosen = [name for row in trained for name in ((row, refined) if row == own else (row,))]
    known = sorted({*runs, *names()})
    if not chosen:
        raise UserError(f"--config.methods: names no row, and there is no run; choose from {', '.join(known)}")
    for name in chosen:
        method = name.removesuffix("+crf")
        if method not in known and method in TRAINED:
            raise UserError(f"--config.methods: {method!r} is a trained row; name its run by --config.runs=DIR")
        if method not in known:
            rows = ", ".join(known)
            raise UserError(f"--config.methods: no row is called {name!r}; there are {rows}, and each as NAME+crf")
    if any(name.endswith("+crf") for name in chosen):
        if backend == "none":
            raise UserError("--config.methods: a row with +crf needs a CRF, add --config.crf.backend=pydensecrf")
        crf.backend_module(backend)
    return list(dict.fromkeys((*chosen, *TRIVIAL)))


def _check_runs(config: ConfigDict, runs: Mapping[str, Run], named: Sequence[str]) -> None:
    """Makes sure that every run was named for a row.

    Raises:
      UserError: a run that no row is taken from.
    """
    used = {runs[method].workdir for name in named if (method := name.removesuffix("+crf")) in runs}
    for workdir in named_runs(config):
        if workdir not in used:
            held = ", ".join(row for row, run in runs.items() if run.workdir == workdir)
            raise UserError(f"--config.runs: {workdir} has {held}, which --config.methods does not name")


def _record(run: Run) -> dict[str, Any]:
    """What scores.json tells of another run than the evaluation's own."""
    return {"workdir": str(run.workdir), "checkpoint": checkpoint_digest(run.workdir), "config": run.config.to_dict()}


def open_rows(named: Sequence[str], config: ConfigDict, runs: Mapping[str, Run]) -> list[Row]:
    """The rows of these names; each localizer is made, or loaded from its run, once.

    Raises:
      UserError: a run holds no trained network yet.
    """
    methods = dict.fromkeys(name.removesuffix("+crf") for name in named)
    localizers = {method: _localizer(method, config, runs.get(method)) for method in methods}
    return [Row(localizers[method], backend) for method, backend in (_key(name, config) for name in named)]


def _localizer(name: str, config: ConfigDict, run: Run | None) -> Localizer:
    if run is not None:
        return splice_jax.load(run.workdir, crf="none", config=run.config, row=name)
    return localizer(name, seed=config.seed) if name == "random" else localizer(name)


def evaluate_rows(
    rows: Sequence[Row],
    examples: Sequence[Example],
    output: Path,
    *,
    header: Mapping[str, Any],
    parameters: CrfParameters | None = None,
    validation: Validation | None = None,
    degradations: Sequence[Degradation] = (),
    ignore_border: int = 0,
    seed: int = 0,
    processes: int | None = None,
) -> dict[str, Any]:
    """Runs rows over examples and writes everything into `output`; returns the content of scores.json.

    Args:
      rows: each localizer runs once per image, however many rows it stands in.
      examples: authentic ones, and those without a spliced pixel, are left out of all localization means and counted.
      output: a folder, made where missing.
      header: `dataset`, `split`, `config` and `commit` of scores.json.
      parameters: of the CRF.
      validation: images on which a threshold is chosen.
      degradations: of the images; every row is evaluated under each.
      ignore_border: pixels this near to the boundary of a mask do not count.
      seed: of the bootstrap and of degradations by noise.
      processes: that refine and score beside this one; by default one per core where it pays, 0 for none.

    Raises:
      UserError: no spliced image in the split, or what an example or a localizer raises.
    """
    validation = validation or Validation()
    planned = plan(
        {(row.localizer.name, row.crf): {"method": row.localizer.name} for row in rows},
        examples,
        output,
        title=f"{header['dataset']}: its split {header['split']}",
        validation=validation,
        degradations=degradations,
        seed=seed,
        ignore_border=ignore_border,
        processes=processes,
    )
    planned.make(rows, parameters or CrfParameters())
    return score(planned, output, header=header, no_validation=validation.reason, seed=seed)


def score(
    planned: Plan, output: Path, *, header: Mapping[str, Any], no_validation: str = "", seed: int = 0
) -> dict[str, Any]:
    """Scores cached maps and writes everything into `output`; returns the content of scores.json.

    Args:
      planned: whose maps are there.
      output: a folder.
      header: `dataset`, `split`, `config` and `commit` of scores.json, and where there are any `notes` by method and
        the other `runs` that rows are taken from.
      no_validation: why there are no validation images, where there are none.
      seed: of the bootstrap.

    Raises:
      UserError: a map is missing, stale or damaged.
    """
    found, degraded = planned.score()
    scores, curves = _scores(planned, found, header, no_validation, seed), scores_json.curves(found)
    degraded_scores = series.content(scores, degraded, seed=seed) if degraded else None
    scores_json.write_json(output / "scores.json", scores)
    scores_json.write_json(output / "curves.json", curves)
    scores_json.write_per_image(output / "per_image.csv", found)
    tables.write(output, scores)
    gallery, compared = Gallery(planned.main, found), figures.ranks(scores["images"])
    figures.write_comparison(output / "comparison.png", scores, compared, gallery.pictures(compared))
    if degraded_scores:
        scores_json.write_json(output / "degradations.json", degraded_scores)
        figures.write_series(output / "degradations.png", degraded_scores)
    with planned.workers() as workers, replacing(output / "report.html") as temporary:
        content = page.Content(scores, curves, degraded_scores, gallery.index())
        page.write(temporary, content, gallery.encoded(workers))
    return scores


def _scores(
    planned: Plan, found: Mapping[Key, RowResult], header: Mapping[str, Any], no_validation: str, seed: int
) -> dict[str, Any]:
    truths, validation = planned.main.truths, planned.validation
    spliced, listed = sum(truth.spliced for truth in truths), conventions(validation=validation is not None)
    chosen_on = {"split": VALIDATION, "images": len(validation.truths)} if validation else {"reason": no_validation}
    return {
        "dataset": header["dataset"],
        "split": header["split"],
        "images": spliced,
        "authentic_images": len(truths) - spliced,
        "config": header["config"],
        "commit": header["commit"],
        "rows": [
            scores_json.row_entry(key, result, listed, note=header.get("notes", {}).get(key[0], ""), seed=seed)
            for key, result in found.items()
        ],
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
