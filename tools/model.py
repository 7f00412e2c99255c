"""Trains the packaged model again: composes, trains several seeds, calibrates, chooses one, and packages it.

    python -m tools.model --photos DIR... --regions DIR... --val-photos DIR... --val-regions DIR... --real DIR... \
        --workdir=runs/model

Everything goes on where it was stopped. Validation splices are composed from one half of the validation photographs;
the other half, as it is, calibrates. A folder of `--real` holds images/ and masks/. With `--init`, the seeds start from
one model's weights, so that their average is a model too, and is chosen from like one.
"""

import argparse
import dataclasses
import itertools
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from splice_jax import metrics, runtime
from splice_jax.data import Example
from splice_jax.data.composing.compose import compose_folder
from splice_jax.data.composing.sources import find_sources
from splice_jax.data.sets.builders.pairs import list_pairs
from splice_jax.evaluation.calibrate import RATE, Judged, calibrate, judge, worth
from splice_jax.evaluation.output.scores_json import commit
from splice_jax.images import read_image, read_mask
from splice_jax.methods.trained.semi_global_traces.localizer import SemiGlobalTracesLocalizer
from splice_jax.methods.trained.semi_global_traces.method import VERSION
from splice_jax.metrics import clopper_pearson
from splice_jax.runs.configuration import load_run_config
from splice_jax.runs.load import load
from splice_jax.weights.calibration import CHECKED, Calibration
from splice_jax.weights.packaged import FILE, Packaged, save_packaged

COMPOSED, CALIBRATING = 0, 1
"""Which half of the validation photographs is composed from, and which calibrates."""
AS_CAMERAS_WROTE_THEM = ("cameras", "phones", "spcup")
"""The first words of the names of photographs whose JPEG data are a camera's own."""
RATES = (0.05, 0.1)
AVERAGE = "average"
"""Of the seeds' weights, a candidate beside them."""


def main() -> None:
    """Does what is not done yet, then prints every seed's scores and packages the best."""
    arguments = _arguments()
    runtime.set_up()
    splices = arguments.splices or arguments.workdir / "splices"
    _compose(splices, "val", arguments.val_photos, arguments.val_regions, arguments.val_count, COMPOSED)
    _compose(splices, "train", arguments.photos, arguments.regions, arguments.count, None)
    workdirs = [_train(arguments.workdir / f"seed{seed}", splices, seed, arguments) for seed in arguments.seeds]
    package(workdirs, splices, arguments)


def package(workdirs: Sequence[Path], splices: Path, arguments: argparse.Namespace) -> None:
    """Judges the seeds' runs, and their average where they began alike; prints, and packages the best."""
    candidates = {workdir.name: _localizer(workdir) for workdir in workdirs}
    configs = {workdir.name: load_run_config(workdir) for workdir in workdirs}
    if arguments.init and len(workdirs) > 1:
        together = _localizer(workdirs[0])
        together.variables = average([localizer.variables for localizer in candidates.values()])
        candidates[AVERAGE], configs[AVERAGE] = together, load_run_config(workdirs[0])
    judged = {name: Validation.of(localizer, arguments, splices) for name, localizer in candidates.items()}
    print(_table({name: judged[name] for name in judged if name != AVERAGE}))
    if AVERAGE in judged:
        print(f"{AVERAGE}:", _table({AVERAGE: judged[AVERAGE]}), sep="\n")
    best = max(candidates, key=lambda name: judged[name].worth)
    packaged = _packaged(best, candidates[best], configs[best], judged[best], arguments)
    digest = save_packaged(packaged, arguments.output)
    print(f"{arguments.output}: {best}, {arguments.output.stat().st_size / 1e6:.2f} MB, SHA-256 {digest}")


def average(variables: Sequence[Mapping[str, Any]]) -> Any:
    """The mean of each weight."""
    return jax.tree.map(lambda *each: np.mean(each, 0).astype(each[0].dtype), *variables)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("photos", "regions", "val-photos", "val-regions", "real"):
        parser.add_argument(f"--{name}", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--check", nargs="*", type=Path, default=[], metavar="DIR", help="authentic photographs that choose nothing"
    )
    parser.add_argument("--workdir", type=Path, default=Path("runs/model"))
    parser.add_argument("--splices", type=Path, metavar="DIR", help="composed by an earlier call; WORKDIR/splices")
    parser.add_argument("--output", type=Path, default=FILE, help="the packaged model's file")
    parser.add_argument("--version", default=str(VERSION), help="of the model, stands in every output")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=7500)
    parser.add_argument("--init", default="", metavar="RUN", help="what the seeds start from; `packaged` or a run")
    parser.add_argument("--fields", nargs="*", default=[], metavar="FIELD=VALUE", help="further ones of configs/sgt.py")
    parser.add_argument("--count", type=int, default=16000, help="training images to compose")
    parser.add_argument("--val-count", type=int, default=320, help="validation images to compose")
    return parser.parse_args()


def _compose(
    output: Path, split: str, photos: Sequence[Path], regions: Sequence[Path], count: int, half: int | None
) -> None:
    if not (output / split).exists():
        compose_folder(photos, output, regions=regions, count=count, recipe="wild", split=split, half=half, workers=2)


def _train(workdir: Path, splices: Path, seed: int, arguments: argparse.Namespace) -> Path:
    """In a process of its own, whose memory is given back."""
    command = [sys.executable, "-m", "splice_jax.cli", "train", "--config=sgt", f"--workdir={workdir}"]
    fields = [f"data_dir={splices}", f"seed={seed}", f"num_steps={arguments.steps}", *arguments.fields]
    fields += [f"init={arguments.init}"] if arguments.init else []
    subprocess.run([*command, *(f"--config.{field}" for field in fields)], check=True)
    return workdir


def _localizer(workdir: Path) -> SemiGlobalTracesLocalizer:
    """Of the best checkpoint."""
    localizer = load(workdir)
    assert isinstance(localizer, SemiGlobalTracesLocalizer)
    return localizer


@dataclasses.dataclass(frozen=True)
class Validation:
    """What one seed's network says about the validation sets."""

    spliced: Mapping[str, Sequence[Judged]]
    """By set."""
    authentic: Sequence[Judged]
    """Composed without a splice."""
    innocent: Sequence[Judged]
    """Photographs as they are."""
    photographs: Sequence[Path]
    """The innocent ones' files."""

    @classmethod
    def of(cls, localizer: SemiGlobalTracesLocalizer, arguments: argparse.Namespace, splices: Path) -> "Validation":
        """The logits of all validation images."""
        sets = {folder.name: judge(localizer, _pairs(folder, "test")) for folder in arguments.real}
        sets["composed"] = judge(localizer, _pairs(splices, "val"))
        photographs = find_sources(arguments.val_photos, None, CALIBRATING)
        innocent = judge(localizer, (_authentic(source.photo) for source in photographs))
        authentic = judge(localizer, _pairs(splices, "val_authentic"))
        return cls(sets, authentic, innocent, [source.photo for source in photographs])

    def calibration(self, rate: float = RATE) -> Calibration:
        """Calibrated on the innocent photographs."""
        kinds = [_kind(photo) for photo in self.photographs]
        return calibrate(self.innocent, list(self.spliced.values()), self.authentic, rate, kinds=kinds)

    @property
    def worth(self) -> float:
        """Mean over sets of F1 at the calibrated threshold."""
        return worth(self.calibration(), list(self.spliced.values()))


def _pairs(folder: Path, split: str) -> Iterator[Example]:
    for image, mask in list_pairs(folder).pairs[split]:
        encoded = image.read_bytes()
        pixels = read_image(encoded, name=str(image))
        truth = np.zeros(pixels.shape[:2], bool) if mask is None else read_mask(mask)
        yield Example(pixels, truth, image.stem, mask is None, encoded)


def _authentic(photo: Path) -> Example:
    encoded = photo.read_bytes()
    pixels = read_image(encoded, name=str(photo))
    return Example(pixels, np.zeros(pixels.shape[:2], bool), photo.stem, True, encoded)


def _kind(photo: Path) -> str:
    """Of `weights.calibration.KINDS`."""
    if photo.suffix.lower() not in (".jpg", ".jpeg"):
        return "no jpeg"
    return "camera" if _source(photo) in AS_CAMERAS_WROTE_THEM else "other jpeg"


def _source(photo: Path) -> str:
    """The first word of a photograph's name; its folder's, if that is a number."""
    word = photo.stem.split("-")[0].split("_")[0]
    return photo.parents[2].name if word.isdigit() else word


def _best(judged: Judged, score: metrics.Score) -> float:
    """At the image's own best threshold (oracle)."""
    probability = 1 / (1 + np.exp(-np.clip(judged.logits, -30, 30)))
    return metrics.curve(metrics.quantize(probability.astype(np.float32)), judged.truth).best(score).value


def _scores(validation: Validation) -> dict[str, dict[str, float]]:
    """By set: best per image (oracle) F1 and MCC, and F1 as calibrated."""
    calibration = validation.calibration()
    return {
        name: {
            "f1_best": float(np.mean([_best(each, metrics.f1) for each in images])),
            "mcc_best": float(np.mean([_best(each, metrics.mcc) for each in images])),
            "f1_calibrated": float(np.mean([each.f1(calibration) for each in images])),
        }
        for name, images in validation.spliced.items()
    }


def _table(judged: Mapping[str, Validation]) -> str:
    """Every seed's scores, then their mean and spread."""
    scores = {name: _scores(validation) for name, validation in judged.items()}
    first = next(iter(scores.values()))
    lines = []
    for name, score in itertools.product(first, next(iter(first.values()))):
        values = [found[name][score] for found in scores.values()]
        each = " ".join(f"{value:.3f}" for value in values)
        lines.append(f"{name:12} {score:14} {each}   mean {np.mean(values):.3f}, std {np.std(values):.3f}")
    return "\n".join(lines)


def _packaged(
    name: str,
    localizer: SemiGlobalTracesLocalizer,
    config: ConfigDict,
    validation: Validation,
    arguments: argparse.Namespace,
) -> Packaged:
    config.data_dir = ""  # Where it lay says nothing.
    calibration = validation.calibration()
    if arguments.check:
        calibration = dataclasses.replace(calibration, checked=_checked(localizer, calibration, arguments.check))
    about: dict[str, Any] = {
        "version": arguments.version,
        "run": name,
        "method": config.method,
        "network": {"width": config.trace_width, "depth": config.trace_depth, "layers": config.trace_layers},
        "config": config.to_dict(),
        "commit": commit(),
        "calibration_photographs": dict(Counter(map(_source, validation.photographs))),
        "false_alarms": [_false_alarms(validation, rate) for rate in RATES],
        "crossfitted_false_alarms": _crossfitted(validation),
        "validation": _scores(validation),
        "license": "CC BY-NC 4.0",
    }
    variables = {name: _numpy(tree) for name, tree in localizer.variables.items() if name == "params"}
    return Packaged(variables, calibration, about)


def _checked(localizer: Any, calibration: Calibration, folders: Sequence[Path]) -> np.ndarray:
    judged = judge(localizer, (_authentic(source.photo) for source in find_sources(folders)))
    return np.array([sum(calibration.alarm(each.image) <= CHECKED for each in judged), len(judged)])


def _false_alarms(validation: Validation, rate: float) -> dict[str, Any]:
    """The calibration of the map at which this share of photographs gives an alarm, and how many do."""
    calibration, innocent = validation.calibration(rate), validation.innocent
    alarms = sum(each.gives_an_alarm(calibration) for each in innocent)
    return {
        "rate": rate,
        "map_shift": calibration.map_shift,
        "map_gate": calibration.map_gate,
        "alarms": alarms,
        "photographs": len(innocent),
        "ci95": clopper_pearson(alarms, len(innocent)),
        "f1": {name: float(np.mean([each.f1(calibration) for each in of])) for name, of in validation.spliced.items()},
    }


def _crossfitted(validation: Validation) -> dict[str, Any]:
    """Each half's alarms as calibrated on the other half."""
    innocent, spliced = validation.innocent, list(validation.spliced.values())
    halves = innocent[::2], innocent[1::2]
    alarms = sum(
        each.gives_an_alarm(calibration)
        for half, other in (halves, halves[::-1])
        for calibration in [calibrate(other, spliced, validation.authentic)]
        for each in half
    )
    return {
        "rate": RATE,
        "alarms": alarms,
        "photographs": len(innocent),
        "ci95": clopper_pearson(alarms, len(innocent)),
    }


def _numpy(tree: Any) -> Any:
    return {name: _numpy(value) for name, value in tree.items()} if isinstance(tree, Mapping) else np.asarray(tree)


if __name__ == "__main__":
    main()
