"""What training the CRF with a network gives over choosing it afterwards: the same network, data and steps, in turn.

    python -m benchmarks.crf_layer --splices DIR --spliced DIR... --output DIR [--init=packaged RUN...] [--seeds=3]

DIR of `--splices` is composed, with train/ and val/; those of `--spliced` hold images/ and masks/. `--init` names the
runs to go on from, of `sgt` or `sgn`; `packaged` is the packaged `sgt`. For each and for each seed, a run is trained
with the CRF as a layer, another without, and `tune-crf` chooses its CRF on val. Prints, for each folder, F1 and MCC at
each image's best threshold and at 0.5: means over images, ± standard deviation over seeds. `--crf` says who refines
maps: pydensecrf compiles nothing for every size of image. Runs stay in `--output`, and a second call goes on.
"""

import argparse
import itertools
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

import splice_jax
from benchmarks.wild import Case, cases
from splice_jax import crf, errors, metrics, runtime
from splice_jax.evaluation import tune_crf
from splice_jax.runs.builtin import crf_layer, sgt
from splice_jax.runs.configuration import load_run_config
from splice_jax.training.loop import train

LAYER, STAGES = "layer", "stages"
CROPS = 4
"""Images in a batch, parts of 256x256 pixels."""


def main() -> None:
    """Trains, tunes and prints a table."""
    flags = argparse.ArgumentParser(prog="python -m benchmarks.crf_layer", description=__doc__)
    flags.add_argument("--splices", type=Path, required=True, metavar="DIR")
    flags.add_argument("--spliced", type=Path, nargs="+", required=True, metavar="DIR")
    flags.add_argument("--output", type=Path, required=True, metavar="DIR")
    flags.add_argument("--init", nargs="+", default=["packaged"], metavar="RUN")
    flags.add_argument("--seeds", type=int, default=3, metavar="N")
    flags.add_argument("--steps", type=int, default=250, metavar="N")
    flags.add_argument("--trials", type=int, default=24, metavar="N", help="of tune-crf")
    flags.add_argument("--tuned-on", type=int, default=24, metavar="N", help="images of val that tune-crf looks at")
    flags.add_argument("--images", type=int, default=60, metavar="N", help="at most so many of each folder are scored")
    flags.add_argument("--crf", choices=sorted(crf.BACKENDS), default="jax")
    given = flags.parse_args()
    crf.backend_module(given.crf)
    runtime.set_up()
    folders = {folder.name: _evenly(list(cases(folder)), given.images) for folder in given.spliced}
    for init in given.init:
        found: dict[tuple[str, str], list[np.ndarray]] = {}
        for seed, way in itertools.product(range(given.seeds), (LAYER, STAGES)):
            workdir = _trained(given, init, way, seed)
            for name, images in folders.items():
                for row, scores in zip(("without CRF", "refined"), _scores(workdir, given.crf, images), strict=True):
                    found.setdefault((name, f"{way}, {row}"), []).append(scores)
        for (name, row), of_seeds in sorted(found.items()):
            means, spread = np.mean(of_seeds, axis=0), np.std(of_seeds, axis=0)
            words = [
                f"{score} {mean:.3f} ± {std:.3f}"
                for score, mean, std in zip(("F1 best", "MCC best", "F1 0.5", "MCC 0.5"), means, spread, strict=True)
            ]
            print(f"{init}: {name}, {len(folders[name])} images: {row}: {', '.join(words)}", flush=True)


def _evenly(images: Sequence[Case], most: int) -> list[Case]:
    chosen = np.unique(np.linspace(0, len(images) - 1, min(most, len(images))).round().astype(int))
    return [images[number] for number in chosen.tolist()]


def _trained(given: argparse.Namespace, init: str, way: str, seed: int) -> Path:
    """The run's folder; what it refines by is printed."""
    workdir = given.output / f"{Path(init).name}-{way}{seed}"
    if not (workdir / tune_crf.FILE_NAME).exists():  # Training would write its own CRF over the chosen one.
        start = time.monotonic()
        train(_config(given, init, way, seed), workdir)
        if way == STAGES:
            tune_crf.tune(workdir, trials=given.trials, images=given.tuned_on)
        print(f"{workdir}: {(time.monotonic() - start) / 60:.1f} minutes", flush=True)
    print(f"{workdir}: {load_run_config(workdir).crf.to_dict()}", flush=True)
    return workdir


def _config(given: argparse.Namespace, init: str, way: str, seed: int) -> ConfigDict:
    """Both ways see the same number of pixels in a step."""
    config = crf_layer.after(sgt.get_config() if init == "packaged" else load_run_config(init))
    config.dataset, config.data_dir, config.init, config.seed = "folder", str(given.splices), init, seed
    config.batch_size = CROPS * (config.batch_size // crf_layer.CROPS)
    config.num_steps = config.validate_every = given.steps
    config.log_every, config.validation_images = 25, 1
    config.crf.backend, config.crf.neutral = given.crf, "half"  # A run may have been tuned to another.
    if way == STAGES:
        config.loss.crf = 0.0
    return config


def _scores(workdir: Path, backend: str, images: Sequence[Case]) -> np.ndarray:
    """Means over images, [2, 4]: of the network's maps, and of the refined ones."""
    localizer, parameters = splice_jax.load(workdir), crf.CrfParameters.from_config(load_run_config(workdir).crf)
    maps = [localizer.localize_encoded(case.image, case.encoded).probability for case in images]
    refined = crf.refine_batch(backend, [case.image for case in images], maps, parameters)
    rows = [[_of_map(map_, case.mask) for map_, case in zip(each, images, strict=True)] for each in (maps, refined)]
    return np.mean(rows, axis=1)


def _of_map(probability: np.ndarray, mask: np.ndarray) -> list[float]:
    curve = metrics.curve(metrics.quantize(probability), mask)
    half = curve.at(0.5)
    best = [curve.best(score).value for score in (metrics.f1, metrics.mcc)]
    return [*best, float(metrics.f1(half)), float(metrics.mcc(half))]


if __name__ == "__main__":
    errors.run(main)
