"""Runs every row of the comparison over a split of a data set, once per image, and caches the maps that are scored."""

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8, UInt16
from ml_collections import ConfigDict
from PIL import Image
from tqdm import tqdm

import splice_jax
from splice_jax import crf, data, metrics, patches
from splice_jax.crf import CrfParameters
from splice_jax.data import Example
from splice_jax.errors import UserError
from splice_jax.evaluation import protocol, report, results
from splice_jax.evaluation.protocol import ImageScores
from splice_jax.evaluation.results import Accuracy, ImageResult
from splice_jax.files import replacing
from splice_jax.images import encode_png
from splice_jax.localizers import Found, Localizer, localizer, names

Levels = UInt16[np.ndarray, "height width"]


class Row(NamedTuple):
    """A row of the comparison: a localizer, and the CRF after it ("none" for none)."""

    localizer: Localizer
    crf: str = "none"

    @property
    def name(self) -> str:
        """As it is printed, and as `methods` calls it."""
        return results.row_name(self.localizer.name, self.crf)


def evaluate(config: ConfigDict, workdir: Path) -> Path:
    """Evaluates a run, or any rows, on a split of a data set; prints a table and returns the report's path.

    Writes scores.json, per_image.csv, report.html and the maps into WORKDIR/evaluation/DATASET-SPLIT.

    Args:
      config: the run's configuration, of which `dataset`, `data_dir`, `split`, `methods`, `evaluation_name`, `crf` and
        `seed` say what is done.
      workdir: the run.

    Raises:
      UserError: an unknown row or data set, missing data, an unfinished run, a missing CRF, an unwritable folder.
    """
    rows = open_rows(row_names(config), config, workdir)  # First, for preparing a data set can take long.
    examples = data.open_split(config.dataset, config.data_dir, config.split)
    with_authentic = data.open_split(config.dataset, config.data_dir, config.split, include_authentic=True)
    output = workdir / "evaluation" / (config.evaluation_name or f"{config.dataset}-{config.split}")
    header = {
        "dataset": config.dataset,
        "split": config.split,
        "authentic_images": len(with_authentic) - len(examples),
        "config": config.to_dict(),
        "commit": results.commit(),
    }
    scores = evaluate_rows(
        rows,
        examples,
        output,
        header=header,
        parameters=CrfParameters.from_config(config.crf),
        seed=config.seed,
    )
    print(report.text_table(scores))
    print(f"\nreport: {output / 'report.html'}")
    return output / "report.html"


def row_names(config: ConfigDict) -> list[str]:
    """The rows that `config.methods` names, or the run's own without and with CRF; then the trivial rows.

    Raises:
      UserError: a name that is no row, or a CRF that is unknown or not installed.
    """
    own, backend = config.method, config.crf.backend
    chosen = [name.strip() for name in config.methods.split(",") if name.strip()]
    chosen = chosen or ([own] if backend == "none" else [own, f"{own}+crf"])
    known = sorted({own, *names()})
    for name in chosen:
        if name.removesuffix("+crf") not in known:
            rows = ", ".join(known)
            raise UserError(f"--config.methods: no row is called {name!r}; there are {rows}, and each as NAME+crf")
    if any(name.endswith("+crf") for name in chosen):
        if backend == "none":
            raise UserError("--config.methods: a row with +crf needs a CRF, add --config.crf.backend=pydensecrf")
        crf.backend_module(backend)
    return list(dict.fromkeys((*chosen, *report.TRIVIAL)))


def open_rows(named: Sequence[str], config: ConfigDict, workdir: Path) -> list[Row]:
    """The rows of these names; each localizer is made, or loaded from the run, once.

    Raises:
      UserError: the run holds no trained network yet.
    """
    methods = dict.fromkeys(name.removesuffix("+crf") for name in named)
    localizers = {method: _localizer(method, config, workdir) for method in methods}
    backend = {True: config.crf.backend, False: "none"}
    return [Row(localizers[name.removesuffix("+crf")], backend[name.endswith("+crf")]) for name in named]


def _localizer(name: str, config: ConfigDict, workdir: Path) -> Localizer:
    if name == config.method:
        return splice_jax.load(workdir, crf="none", config=config)
    return localizer(name, seed=config.seed) if name == "random" else localizer(name)


def evaluate_rows(
    rows: Sequence[Row],
    examples: Sequence[Example],
    output: Path,
    *,
    header: Mapping[str, Any],
    parameters: CrfParameters | None = None,
    seed: int = 0,
    processes: int | None = None,
) -> dict[str, Any]:
    """Runs rows over examples and writes everything into `output`; returns the content of scores.json.

    Args:
      rows: each localizer runs once per image, however many rows it stands in.
      examples: authentic ones, and those without a spliced pixel, are left out of all means and counted.
      output: a folder, made where missing.
      header: `dataset`, `split`, `authentic_images`, `config` and `commit` of scores.json.
      parameters: of the CRF.
      seed: of the bootstrap.
      processes: that refine and score beside this one; one per core by default, 0 for none.

    Raises:
      UserError: no spliced image in the split, or what an example or a localizer raises.
    """
    maps = output / "maps"
    found = _run(rows, examples, maps, parameters or CrfParameters(), _executor(rows, processes))
    spliced = len(found[rows[0].name])
    if not spliced:
        raise UserError(
            f"{header['dataset']}: its split {header['split']} holds no spliced image, so there is nothing to score"
        )
    scores = {
        "dataset": header["dataset"],
        "split": header["split"],
        "images": spliced,
        "authentic_images": header["authentic_images"] + len(examples) - spliced,
        "config": header["config"],
        "commit": header["commit"],
        "rows": [results.row_entry(row.localizer.name, row.crf, found[row.name], seed=seed) for row in rows],
    }
    results.write_scores(output / "scores.json", scores)
    of_rows = [found[row.name] for row in rows]
    results.write_per_image(output / "per_image.csv", [(row.localizer.name, row.crf) for row in rows], of_rows)
    with replacing(output / "report.html") as temporary:
        report.write(temporary, scores, _pictures(found, examples, maps))
    return scores


class _Task(NamedTuple):
    """What is left to do for one row on one image once its localizer has run."""

    image: UInt8[np.ndarray, "height width 3"]
    mask: Bool[np.ndarray, "height width"]
    levels: Levels
    crf: str
    parameters: CrfParameters
    path: Path


def _complete(task: _Task) -> tuple[ImageScores, float]:
    """Refines, caches and scores one map; also the seconds that the CRF took. Runs in any process."""
    started = time.perf_counter()
    levels = task.levels
    if task.crf != "none":
        probability = (levels / np.float32(metrics.LEVELS)).astype(np.float32)
        levels = metrics.quantize(crf.refine(task.crf, task.image, probability, task.parameters))
    seconds = time.perf_counter() - started
    with replacing(task.path) as temporary:
        temporary.write_bytes(encode_png(levels))
    return protocol.score_image(levels, task.mask), seconds


class _Here(Executor):
    """An executor without processes: `submit` does the work."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*args, **kwargs))
        return future


def _executor(rows: Sequence[Row], processes: int | None) -> Executor:
    """Processes where there is a CRF, which keeps one core busy; they are spawned, for JAX does not survive a fork."""
    if processes is None:
        processes = 0 if all(row.crf == "none" for row in rows) else os.cpu_count() or 1
    if processes == 0:
        return _Here()
    return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _leave_interrupts_to_the_parent)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run(
    rows: Sequence[Row],
    examples: Sequence[Example],
    maps: Path,
    parameters: CrfParameters,
    executor: Executor,
) -> dict[str, list[ImageResult]]:
    """Results by a row's name, in the order of the split."""
    found: dict[str, list[ImageResult]] = {row.name: [] for row in rows}
    waiting: deque[Callable[[], None]] = deque()
    with executor:
        for index in tqdm(range(len(examples)), desc="evaluating", unit="image", disable=None):
            example = examples[index]
            if example.authentic or not example.mask.any():
                continue
            for row, levels, seconds, accuracy in _localized(rows, example):
                path = map_path(maps, row.name, example.name)
                task = _Task(example.image, example.mask, levels, row.crf, parameters, path)
                future = executor.submit(_complete, task)
                waiting.append(partial(_collect, found[row.name], future, index, example, seconds, accuracy))
            while len(waiting) > 4 * len(rows):  # Images that wait to be scored are held in memory.
                waiting.popleft()()
        while waiting:
            waiting.popleft()()
    return found


def _collect(
    of_row: list[ImageResult],
    future: Future[tuple[ImageScores, float]],
    index: int,
    example: Example,
    seconds: float,
    accuracy: Accuracy | None,
) -> None:
    scores, more_seconds = future.result()
    height, width = example.mask.shape
    of_row.append(ImageResult(index, example.name, height, width, scores, seconds + more_seconds, accuracy))


def _localized(rows: Sequence[Row], example: Example) -> Iterator[tuple[Row, Levels, float, Accuracy | None]]:
    """Each row with the 16-bit map of its localizer, the seconds that took, and the accuracy of its heads."""
    for method in dict.fromkeys(row.localizer.name for row in rows):
        of_method = [row for row in rows if row.localizer.name == method]
        started = time.perf_counter()
        found = of_method[0].localizer(example.image)
        seconds = time.perf_counter() - started
        levels = metrics.quantize(found.probability)
        accuracy = _accuracy(of_method[0].localizer, found, levels, example.mask)
        for row in of_method:
            yield row, levels, seconds, accuracy if row.crf == "none" else None


def _accuracy(
    localizer: Localizer, found: Found, levels: Levels, mask: Bool[np.ndarray, "height width"]
) -> Accuracy | None:
    """How many patch labels, and how many pixels, are right at 0.5; None for a localizer without a label head."""
    if found.label_probability is None:
        return None
    stride, border = getattr(localizer, "stride", patches.PATCH_SIZE), getattr(localizer, "border", "inward")
    origins = patches.grid(*mask.shape, stride=stride, border=border)
    truth = patches.labels(patches.extract(mask, origins.reshape(-1, 2))).reshape(origins.shape[:2])
    right = (found.label_probability >= 0.5) == truth
    pixels = metrics.counts_at(levels, mask, 0.5)
    return Accuracy(truth.size, int(np.count_nonzero(right)), mask.size, int(pixels.tp + pixels.tn))


def map_path(maps: Path, row_name: str, image: str) -> Path:
    """Where the 16-bit map of a row on an image is cached."""
    return maps / row_name / f"{image.replace('/', '__')}.png"


def read_map(path: Path) -> Levels:
    """A cached map, exactly as it was scored."""
    with Image.open(path) as picture:
        return np.array(picture).astype(np.uint16)


def _pictures(
    found: Mapping[str, Sequence[ImageResult]], examples: Sequence[Example], maps: Path
) -> Iterator[report.Picture]:
    """What the report shows, one image after the other, best to worst by the headline F1 of the row it is about."""
    shown = [name for name in found if name not in report.TRIVIAL] or list(found)
    about = report.main_row(list(found))
    order = sorted(
        range(len(found[about])), key=lambda position: -found[about][position].scores.at["best-per-image"].f1
    )
    for position in order:
        example = examples[found[about][position].index]
        yield report.Picture(
            name=example.name,
            image=example.image,
            mask=example.mask,
            maps={name: read_map(map_path(maps, name, example.name)) for name in shown},
            scores={name: found[name][position].scores for name in shown},
        )
