"""What training the CRF with `sgt` gives over choosing it afterwards: the same network, data and steps, in turn.

    python -m benchmarks.crf_layer --splices DIR --spliced DIR... --output DIR [--seeds=3] [--steps=250]

DIR of `--splices` is composed, with train/ and val/; those of `--spliced` hold images/ and masks/. For each seed, a run
is trained with the CRF as a layer, another without, and `tune-crf` chooses its CRF on val. Prints, for each folder, F1
and MCC at each image's best threshold and at 0.5: means over images, ± standard deviation over seeds. `--crf` says who
refines maps: pydensecrf compiles nothing for every size of image. Runs stay in `--output`, and a second call goes on.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import splice_jax
from benchmarks.wild import Case, cases
from splice_jax import crf, errors, metrics, runtime
from splice_jax.evaluation import tune_crf
from splice_jax.methods.localizer import Localizer
from splice_jax.runs.builtin import builtin
from splice_jax.runs.configuration import load_run_config
from splice_jax.training.loop import train

LAYER, STAGES = "layer", "stages"


def main() -> None:
    """Trains, tunes and prints a table."""
    flags = argparse.ArgumentParser(prog="python -m benchmarks.crf_layer", description=__doc__)
    flags.add_argument("--splices", type=Path, required=True, metavar="DIR")
    flags.add_argument("--spliced", type=Path, nargs="+", required=True, metavar="DIR")
    flags.add_argument("--output", type=Path, required=True, metavar="DIR")
    flags.add_argument("--init", default="packaged", metavar="RUN")
    flags.add_argument("--seeds", type=int, default=3, metavar="N")
    flags.add_argument("--steps", type=int, default=250, metavar="N")
    flags.add_argument("--trials", type=int, default=24, metavar="N", help="of tune-crf")
    flags.add_argument("--crf", choices=sorted(crf.BACKENDS), default="jax")
    given = flags.parse_args()
    crf.backend_module(given.crf)
    runtime.set_up()
    runs = [(way, _trained(given, way, seed)) for seed in range(given.seeds) for way in (LAYER, STAGES)]
    folders = {folder.name: list(cases(folder)) for folder in given.spliced}
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    for way, workdir in runs:
        for refined_by in ("none", given.crf):
            localizer = splice_jax.load(workdir, crf=refined_by)
            for name, images in folders.items():
                row = f"{way}, {'without CRF' if refined_by == 'none' else 'refined'}"
                found.setdefault((name, row), []).append(_scores(localizer, images))
    for (name, row), of_seeds in sorted(found.items()):
        means, spread = np.mean(of_seeds, axis=0), np.std(of_seeds, axis=0)
        words = [
            f"{score} {mean:.3f} ± {std:.3f}"
            for score, mean, std in zip(("F1 best", "MCC best", "F1 0.5", "MCC 0.5"), means, spread, strict=True)
        ]
        print(f"{name}, {len(folders[name])} images: {row}: {', '.join(words)}", flush=True)


def _trained(given: argparse.Namespace, way: str, seed: int) -> Path:
    """The run's folder; what it refines by is printed."""
    workdir = given.output / f"{way}{seed}"
    config = builtin("crf_layer")
    config.data_dir, config.init, config.seed = str(given.splices), given.init, seed
    config.num_steps = config.validate_every = given.steps
    config.batch_size, config.log_every, config.validation_images = 4, 25, 1
    config.crf.backend = given.crf
    config.loss.crf = 1.0 if way == LAYER else 0.0
    if not (workdir / tune_crf.FILE_NAME).exists():  # Training would write its own CRF over the chosen one.
        train(config, workdir)
        if way == STAGES:
            tune_crf.tune(workdir, trials=given.trials, images=24)
    print(f"{workdir}: {load_run_config(workdir).crf.to_dict()}", flush=True)
    return workdir


def _scores(localizer: Localizer, images: Sequence[Case]) -> np.ndarray:
    """Means over images."""
    rows = []
    for case in images:
        found = localizer.localize_encoded(case.image, case.encoded)
        curve = metrics.curve(metrics.quantize(found.probability), case.mask)
        half = curve.at(0.5)
        best = [curve.best(score).value for score in (metrics.f1, metrics.mcc)]
        rows.append([*best, float(metrics.f1(half)), float(metrics.mcc(half))])
    return np.mean(rows, axis=0)


if __name__ == "__main__":
    errors.run(main)
