"""Evaluates rows on a split of a data set, in five steps: rows, images, maps, scores, files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from splice_jax import data, hosts
from splice_jax.crf import CrfParameters
from splice_jax.data import Example
from splice_jax.data.sets.reading import Reading
from splice_jax.errors import UserError
from splice_jax.evaluation.maps.degradations import Degradation, parse
from splice_jax.evaluation.maps.make import Row
from splice_jax.evaluation.maps.plan import Plan, Validation, plan
from splice_jax.evaluation.maps.provenance import made_from
from splice_jax.evaluation.output import figures, scores_json, series, tables
from splice_jax.evaluation.output.report import page
from splice_jax.evaluation.output.report.distributions import distributions
from splice_jax.evaluation.output.report.gallery import Gallery, spread
from splice_jax.evaluation.runs import Run, check_division, own_part, runs_by_row
from splice_jax.evaluation.scores.planned import Results, readers, score
from splice_jax.evaluation.selection import key_of, open_rows, recorded_checkpoints, row_names, with_usable_crf
from splice_jax.files import replacing, writable_folder
from splice_jax.methods.fields import check
from splice_jax.runs import schema
from splice_jax.runs.schema import REPORT_IMAGES

VALIDATION = "val"
"""The split on which a threshold is chosen."""


def evaluate(config: ConfigDict, workdir: Path) -> Path:
    """Evaluates a run, or any rows, on a split of a data set; prints a table and returns the report's path.

    Writes scores.json, per_image.csv, curves.json, the paper's tables, comparison.png, report.html and the maps into
    WORKDIR/evaluation/DATASET-SPLIT; with degradations, also degradations.json and degradations.png. Existing fresh
    maps, including those of an interrupted evaluation, are not made again. Of several processes, each makes the maps of
    a share of the images, and process 0 does all the rest.

    Args:
      config: the run's configuration; `dataset`, `data_dir`, `split`, `methods`, `runs`, `evaluation_name`, `crf`,
        `degradations`, `ignore_border`, `report_images`, `rescore` and `seed` say what to do. With `rescore`, no
        network runs.
      workdir: the run.

    Raises:
      UserError: an unknown row or data set, missing data, an unfinished run, an unknown CRF, an unwritable folder, a
        field out of range; with `rescore`, maps that are missing or made from something else.
    """
    check(config, schema.COMMON)
    degradations = parse(config.degradations)

    # 1. Which rows? They are loaded before the images are read, since preparing a data set can take long.
    runs = runs_by_row(config, workdir)
    named = row_names(config, runs)
    output = output_folder(config, workdir)
    config = with_usable_crf(config, named, output / "maps" if config.rescore else None)
    opened = None if config.rescore else open_rows(named, config, runs)
    checkpoints = opened.checkpoints if opened else recorded_checkpoints(named, runs)

    # 2. Which images?
    divide_flat = own_part(config, runs)
    examples = _open(config, config.split, divide_flat, include_authentic=True)
    check_division(runs, getattr(examples, "division", ""))
    validation = validation_images(config, divide_flat)
    keys = [key_of(name, config) for name in named]
    planned = plan(
        {key: made_from(*key, config, runs.get(key[0]), checkpoints.get(key[0], "")) for key in keys},
        examples,
        output,
        title=f"{config.dataset}: its split {config.split}",
        validation=validation,
        degradations=degradations,
        seed=config.seed,
        ignore_border=config.ignore_border,
    )

    # 3. Make their maps, or check that they exist.
    if opened:
        hosts.require_shared(writable_folder(output))
        planned.make(opened.rows, CrfParameters.from_config(config.crf))
    else:
        planned.require()
    if not hosts.is_first():
        return output / "report.html"

    # 4. Score the maps.
    results = score(planned)

    # 5. Write and print what was found.
    header = _header(config, workdir, {method: runs[method] for method, _ in keys if method in runs}, checkpoints)
    header["unreadable"] = len(getattr(examples, "left_out", ()))
    scores = write(
        planned,
        results,
        output,
        header=header,
        no_validation=validation.reason,
        seed=config.seed,
        report_images=config.report_images,
    )
    print(f"{page.text_table(scores)}\n\n{tables.text_differences(scores)}")
    print(f"\nall conventions, the paper's tables: {output / 'tables.md'}\nreport: {output / 'report.html'}")
    return output / "report.html"


def output_folder(config: ConfigDict, workdir: Path) -> Path:
    """Where an evaluation is written."""
    return workdir / "evaluation" / (config.evaluation_name or f"{config.dataset}-{config.split}")


def validation_images(config: ConfigDict, divide_flat: bool) -> Validation:
    """The validation split of the evaluated data set, or the reason why it cannot choose a threshold."""
    if config.split in (VALIDATION, "all"):
        return Validation(reason=f"the split that is scored, {config.split}, has the validation images in it")
    try:
        return Validation(_open(config, VALIDATION, divide_flat), "no spliced image in it")
    except UserError as error:
        return Validation(reason=str(error))


def _open(config: ConfigDict, split: str, divide_flat: bool, *, include_authentic: bool = False) -> data.Split:
    where = config.dataset, config.data_dir, split
    return data.open_split(
        *where,
        split_seed=config.split_seed,
        include_authentic=include_authentic,
        divide_flat=divide_flat,
        reading=Reading.from_config(config),
    )


def _header(
    config: ConfigDict, workdir: Path, used: Mapping[str, Run], checkpoints: Mapping[str, str]
) -> dict[str, Any]:
    """What scores.json says about the evaluation as a whole: data, configuration, and the runs of its rows."""
    return {
        "dataset": config.dataset,
        "split": config.split,
        "config": {name: value for name, value in config.to_dict().items() if name != "rescore"},
        "commit": scores_json.commit(),
        "notes": {row: run.note() for row, run in used.items()},
        "runs": {
            row: {"workdir": str(run.workdir), "checkpoint": checkpoints[row], "config": run.config.to_dict()}
            for row, run in used.items()
            if run.workdir != workdir
        },
    }


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
    report_images: int = REPORT_IMAGES,
) -> dict[str, Any]:
    """Runs rows over examples and writes everything into `output`; returns the content of scores.json.

    All maps are made anew.

    Args:
      rows: each localizer runs once per image, however many rows share it.
      examples: authentic ones, and those without a spliced pixel, are counted but left out of all localization means.
      output: a folder, created if missing.
      header: `dataset`, `split`, `config` and `commit` of scores.json.
      parameters: the CRF's parameters.
      validation: images on which a threshold is chosen.
      degradations: degradations of the images; every row is evaluated under each.
      ignore_border: pixels this close to a mask's boundary are ignored.
      seed: seed of the bootstrap and of noise degradations.
      processes: extra processes that refine and score; by default one per core if worthwhile, 0 for none.
      report_images: the most images that the report has pictures of.

    Raises:
      UserError: the split has no image, or as an example or a localizer.
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
    planned.make(rows, parameters or CrfParameters(), anew=True)  # It is not known here what a localizer is made from.
    return write(
        planned,
        score(planned),
        output,
        header=header,
        no_validation=validation.reason,
        seed=seed,
        report_images=report_images,
    )


def write(
    planned: Plan,
    results: Results,
    output: Path,
    *,
    header: Mapping[str, Any],
    no_validation: str = "",
    seed: int = 0,
    report_images: int = REPORT_IMAGES,
) -> dict[str, Any]:
    """Writes every file of an evaluation except its maps; returns the content of scores.json.

    Args:
      planned: the evaluation, whose maps must exist.
      results: their scores.
      output: a folder.
      header: `dataset`, `split`, `config` and `commit` of scores.json, and optionally `notes` by method and the other
        `runs` that rows are taken from; `unreadable`, how many files were left out.
      no_validation: why there are no validation images, if there are none.
      seed: seed of the bootstrap.
      report_images: the most images that the report has pictures of.

    Raises:
      UserError: a map is missing, or a file cannot be written.
    """
    chosen_on: dict[str, Any] = {"reason": no_validation}
    if planned.validation:
        chosen_on = {"split": VALIDATION, "images": len(planned.validation.truths)}
    scores = scores_json.content(planned, results.rows, header, chosen_on, seed=seed)
    curves = scores_json.curves(results.rows)
    degraded = series.content(scores, results.degraded, seed=seed) if results.degraded else None
    scores_json.write_json(output / "scores.json", scores)
    scores_json.write_json(output / "curves.json", curves)
    scores_json.write_per_image(output / "per_image.csv", results.rows)
    tables.write(output, scores)
    gallery, compared = Gallery(planned.main, results.rows, report_images), spread(scores["images"], figures.COMPARED)
    if len(compared):
        figures.write_comparison(output / "comparison.png", scores, compared, gallery.pictures(compared))
    if degraded:
        scores_json.write_json(output / "degradations.json", degraded)
        figures.write_series(output / "degradations.png", degraded)
    with readers(planned) as workers, replacing(output / "report.html") as temporary:
        distributed = distributions({name: row.scores for name, row in gallery.rows.items()})
        content = page.Content(scores, curves, degraded, gallery.index(), distributed)
        page.write(temporary, content, gallery.encoded(workers))
    return scores
