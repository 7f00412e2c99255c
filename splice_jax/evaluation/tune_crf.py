"""CRF parameters by the score on validation images: from cached maps, no test image looked at."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, UInt8
from ml_collections import ConfigDict
from tqdm import tqdm

from splice_jax import crf, data, metrics, runtime
from splice_jax.crf import NEUTRALS, CrfParameters
from splice_jax.data import Example
from splice_jax.data.sets.reading import Reading
from splice_jax.errors import UserError
from splice_jax.evaluation.maps import cache, provenance
from splice_jax.evaluation.maps.make import IN_THIS_PROCESS, Row, Stage, make_maps, probability_of
from splice_jax.evaluation.maps.provenance import checkpoint_digest
from splice_jax.evaluation.maps.records import RowRecord, read_record, require
from splice_jax.evaluation.maps.truth import Truth, read_truths
from splice_jax.evaluation.output import scores_json
from splice_jax.evaluation.runs import Run
from splice_jax.evaluation.scores.conventions import Convention
from splice_jax.evaluation.selection import load_row
from splice_jax.files import writable_folder
from splice_jax.images import read_mask
from splice_jax.runs.configuration import load_run_config, save_config
from splice_jax.runs.division import require_division
from splice_jax.workers import executor, in_order

FILE_NAME = "tune_crf.json"
SPLIT = "val"
SEARCHES = ("random", "grid")
CHOSEN_BY = ("best-per-image", "0.5")
"""Thresholds at which the score may be taken, the headline's first."""

_GRID_SEARCH: dict[str, tuple[Any, ...]] = {
    "bilateral_position_std": (40.0, 80.0),
    "bilateral_colour_std": (3.0, 5.0, 13.0),
    "smoothness_position_std": (1.0, 3.0),
    "bilateral_weight": (1.0, 3.0, 10.0),
    "smoothness_weight": (1.0, 3.0),
    "neutral": NEUTRALS,
}
"""Widths first, so that trials that can share a lattice follow one another."""
_RANGES = {
    "bilateral_weight": (0.3, 30.0),
    "bilateral_position_std": (10.0, 160.0),
    "bilateral_colour_std": (2.0, 30.0),
    "smoothness_weight": (0.3, 10.0),
    "smoothness_position_std": (1.0, 10.0),
}
"""Drawn uniformly on a log scale; `neutral` is also drawn."""
_WIDTHS = [place for place, name in enumerate(_RANGES) if name.endswith("std")]

_PORTION = 4
"""Trials of the same widths that are refined at once; as many are drawn for each draw of widths."""


class TrialTask(NamedTuple):
    """One image and the parameters to try on it."""

    image: UInt8[np.ndarray, "height width 3"]
    mask: bytes
    path: Path
    sha256: str
    backend: str
    trials: Sequence[CrfParameters | None]
    """Of one lattice; or None alone, for no CRF."""


def tune(
    workdir: Path,
    *,
    search: str = "random",
    trials: int = 40,
    seed: int = 0,
    threshold: str = "best-per-image",
    score: str = "f1",
    images: int | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Tries CRF parameters on the run's validation split and writes the best into its config.json.

    All trials are recorded in WORKDIR/tune_crf.json, whose content is returned. The run's current parameters are among
    the trials, so the score never falls.

    Args:
      workdir: a trained run.
      search: `random`, or `grid`: every combination of `_GRID_SEARCH`.
      trials: number of random trials; ignored by a grid search.
      seed: seed of the random trials.
      threshold: `best-per-image` or `0.5`, see `conventions.Convention`; always given polarity, mean over images.
      score: `f1` or `mcc`.
      images: validation images to use, evenly taken from all; None for all.
      workers: processes, where the CRF is not `IN_THIS_PROCESS`; None for one per core, 0 for none.

    Raises:
      UserError: no CRF in the configuration, no validation split, an unfinished run.
    """
    config = load_run_config(workdir)
    if config.crf.backend == "none":
        raise UserError(f"{workdir}: its crf.backend is none; set it in config.json, for example to jax")
    config.crf.backend = crf.usable(config.crf.backend)
    if config.crf.backend in IN_THIS_PROCESS:
        runtime.set_up_where_unused()
        workers = 0
    where = config.dataset, config.data_dir, SPLIT
    reading = Reading.from_config(config)
    examples = data.open_split(*where, split_seed=config.split_seed, divide_flat=True, reading=reading)
    require_division(workdir, examples.division)
    truths = [truth for truth in read_truths(examples) if truth.spliced]
    if not truths:
        raise UserError(f"{config.dataset}: its split {SPLIT} holds no spliced image to tune on")
    stage = Stage("validation", examples, truths, workdir)
    chosen = _evenly(truths, images)
    stage, record = _maps(stage, chosen, config, workdir)
    parameters = _parameters(config, search, trials, seed)
    found = _try(_tasks(stage, record, chosen, config, parameters), (len(chosen), 1 + len(parameters)), workers)
    means = found.mean(axis=0)
    scored = [{"f1_best": a, "mcc_best": b, "f1_at_0.5": c, "mcc_at_0.5": d} for a, b, c, d in means.tolist()]
    by = f"{score}_best" if threshold == "best-per-image" else f"{score}_at_0.5"
    best = int(np.argmax([each[by] for each in scored[1:]]))
    content = {
        "dataset": config.dataset,
        "split": SPLIT,
        "backend": config.crf.backend,
        "images": [truth.name for truth in chosen],
        "chosen_by": {"score": score, **Convention(threshold).__dict__, "words": f"{score} {Convention(threshold)}"},
        "search": search,
        "seed": seed,
        "made_from": record.made_from,
        "without_crf": scored[0],
        "trials": [{"parameters": asdict(tried), **each} for tried, each in zip(parameters, scored[1:], strict=True)],
        "before": 0,
        "best": best,
    }
    scores_json.write_json(writable_folder(workdir) / FILE_NAME, content)
    _write_into_run(workdir, parameters[best])
    return content


def text(content: dict[str, Any]) -> str:
    """The result, for a terminal."""
    by = content["chosen_by"]
    column = f"{by['score']}_best" if by["threshold"] == "best-per-image" else f"{by['score']}_at_0.5"
    before, best = (content["trials"][content[which]] for which in ("before", "best"))
    lines = [
        f"{by['words']}, over {len(content['images'])} spliced validation images, {len(content['trials'])} trials",
        f"without CRF  {content['without_crf'][column]:.4f}",
        f"before       {before[column]:.4f}",
        f"best         {best[column]:.4f}  " + ", ".join(f"{key} {value}" for key, value in best["parameters"].items()),
    ]
    if content["without_crf"][column] >= best[column]:
        lines.append("no CRF that was tried is better than none")
    return "\n".join(lines)


def _write_into_run(workdir: Path, parameters: CrfParameters) -> None:
    config = load_run_config(workdir)
    for name, value in asdict(parameters).items():
        config.crf[name] = value
    save_config(config, workdir)


def _parameters(config: ConfigDict, search: str, trials: int, seed: int) -> list[CrfParameters]:
    """The run's current parameters first, then those to try."""
    present = CrfParameters.from_config(config.crf)
    if search == "grid":
        tried = [dict(zip(_GRID_SEARCH, values, strict=True)) for values in itertools.product(*_GRID_SEARCH.values())]
    else:
        random = np.random.default_rng(seed)
        low, high = np.log(np.array(list(_RANGES.values()))).T
        drawn = np.exp(random.uniform(low, high, (trials, len(_RANGES))))
        drawn[:, _WIDTHS] = drawn[np.arange(trials) // _PORTION * _PORTION][:, _WIDTHS]
        neutrals = random.integers(len(NEUTRALS), size=trials)
        tried = [
            dict(zip(_RANGES, (float(f"{value:.3g}") for value in line), strict=True)) | {"neutral": NEUTRALS[neutral]}
            for line, neutral in zip(drawn, neutrals, strict=True)
        ]
    return [present, *(CrfParameters.from_config(asdict(present) | values) for values in tried)]


def _evenly(truths: Sequence[Truth], images: int | None) -> list[Truth]:
    if images is None or images >= len(truths):
        return list(truths)
    return [truths[round(position)] for position in np.linspace(0, len(truths) - 1, images).tolist()]


def _maps(stage: Stage, chosen: Sequence[Truth], config: ConfigDict, workdir: Path) -> tuple[Stage, RowRecord]:
    """The network's maps: an evaluation's of all validation images if they are fresh; else made now, of the chosen."""
    run = Run(workdir, config, config)
    own = stage._replace(folder=workdir / "evaluation" / "tune-crf" / "maps", truths=chosen)
    made_from = provenance.made_from(config.method, "none", config, run, checkpoint_digest(workdir))
    found = (stage._replace(folder=folder) for folder in sorted(workdir.glob("evaluation/*/validation/maps")))
    for each in (*found, own):
        try:
            return each, require(each.folder, config.method, each.made_from(made_from))
        except UserError:
            continue
    localizer, checkpoint = load_row(run, config.method)
    made_from = provenance.made_from(config.method, "none", config, run, checkpoint)
    with executor(0) as workers:
        rows = [Row(localizer)]
        make_maps(rows, own, {config.method: made_from}, parameters=CrfParameters(), workers=workers)
    return own, read_record(own.folder, config.method)


def _tasks(
    stage: Stage, record: RowRecord, chosen: Sequence[Truth], config: ConfigDict, parameters: list[CrfParameters]
) -> Iterator[TrialTask]:
    checksums = {each.image: each.sha256 for each in record.maps}
    for truth in chosen:
        example: Example = stage.examples[truth.position]
        path = cache.map_path(stage.folder, config.method, truth.name)
        for portion in _portions(parameters):
            yield TrialTask(example.image, truth.mask, path, checksums[truth.name], config.crf.backend, portion)


def _portions(parameters: Sequence[CrfParameters]) -> Iterator[Sequence[CrfParameters | None]]:
    """None first, for no CRF; then all in order, those that share a lattice together."""
    yield [None]
    for _, alike in itertools.groupby(parameters, lambda each: each.without_weights):
        trials = list(alike)
        yield from (trials[start : start + _PORTION] for start in range(0, len(trials), _PORTION))


def _try(
    tasks: Iterator[TrialTask], size: tuple[int, int], workers: int | None
) -> Float64[np.ndarray, "images trials 4"]:
    images, trials = size
    found = []
    with (
        executor(workers) as pool,
        tqdm(total=images * trials, desc="tuning", unit="trial", disable=None) as bar,
    ):
        for scored in in_order(pool, _score, tasks):
            found.append(scored)
            bar.update(len(scored))
    return np.concatenate(found).reshape(images, trials, 4)


def _score(task: TrialTask) -> Float64[np.ndarray, "trials 4"]:
    """F1 and MCC of one map, at the best threshold and at 0.5, after each trial's CRF. Runs in any process."""
    mask = read_mask(task.mask)
    levels = cache.read_map(task.path, task.sha256)
    parameters = [each for each in task.trials if each is not None]
    refined = [levels]
    if parameters:
        maps = crf.refine_trials(task.backend, task.image, probability_of(levels), parameters)
        refined = [metrics.quantize(map_) for map_ in maps]
    found = []
    for each in refined:
        curve = metrics.curve(each, mask)
        half = curve.at(0.5)
        best = [curve.best(score).value for score in (metrics.f1, metrics.mcc)]
        found.append([*best, float(metrics.f1(half)), float(metrics.mcc(half))])
    return np.array(found)
