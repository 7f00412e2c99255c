"""What the packaged model, or a run of `sgt`, is worth on real splices and on innocent photographs.

    python -m benchmarks.wild --spliced DIR... --authentic DIR... [--composed DIR] [--workdir=RUN]

DIR of `--spliced` holds images/ and masks/, DIR of `--authentic` photographs. Prints, with 95 % intervals: F1 and MCC
at each image's best threshold (oracle) and F1 of `found.mask` as shipped, given files, pixels, and pixels off their
grid; how many innocent photographs have over 1 % marked, or a low alarm; image-level AUC where neither size nor quality
can give a splice away; how a small splice in a large picture is found.
"""

import argparse
import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score

import splice_jax
from splice_jax import errors, metrics, runtime
from splice_jax.evaluation.calibrate import MARKED
from splice_jax.evaluation.scores import bootstrap
from splice_jax.images import IMAGE_SUFFIXES, read_image, read_mask
from splice_jax.methods.localizer import Found, Localizer, Undefined
from splice_jax.metrics import clopper_pearson
from splice_jax.weights.calibration import CHECKED

SHARES = (0.05, 0.5)
"""Spliced share of a crop that counts as spliced."""
CUT = (3, 5)
"""Rows and columns that are cut off, so that blocks of 8x8 pixels begin elsewhere."""
TRIES = 400
LARGE = (3000, 4000)
SMALL = 96


class Case(NamedTuple):
    """One image."""

    path: Path
    image: np.ndarray
    mask: np.ndarray
    encoded: bytes


def main() -> None:
    """Prints everything."""
    flags = argparse.ArgumentParser(prog="python -m benchmarks.wild", description=__doc__)
    flags.add_argument("--spliced", type=Path, nargs="*", default=[], metavar="DIR")
    flags.add_argument("--authentic", type=Path, nargs="*", default=[], metavar="DIR")
    flags.add_argument("--composed", type=Path, metavar="DIR", help="a composed split, for its jitter pairs")
    flags.add_argument("--workdir", type=Path, metavar="RUN", help="a run instead of the packaged model")
    arguments = flags.parse_args()
    runtime.set_up()
    localizer = splice_jax.load(arguments.workdir)
    for folder in arguments.spliced:
        for name, view in VIEWS.items():
            _spliced(localizer, folder, name, view)
    for folder in arguments.authentic:
        _authentic(localizer, folder)
    if arguments.spliced:
        _crops(localizer, [case for folder in arguments.spliced for case in cases(folder)])
    if arguments.composed:
        _jitter(localizer, arguments.composed)
    if arguments.authentic:
        _small_in_large(localizer, [case.image for case in photographs(arguments.authentic[0])])


def cases(folder: Path) -> Iterator[Case]:
    """The images of a folder with their masks."""
    for path in sorted((folder / "images").iterdir()):
        encoded = path.read_bytes()
        yield Case(path, read_image(encoded), read_mask(folder / "masks" / f"{path.stem}.png"), encoded)


def photographs(folder: Path) -> Iterator[Case]:
    """The photographs right in a folder."""
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES):
        encoded = path.read_bytes()
        image = read_image(encoded)
        yield Case(path, image, np.zeros(image.shape[:2], bool), encoded)


def _cut(case: Case) -> Case:
    top, left = CUT
    return Case(case.path, case.image[top:, left:], case.mask[top:, left:], b"")


VIEWS: dict[str, Callable[[Case], Case]] = {
    "files": lambda case: case,
    "pixels": lambda case: case._replace(encoded=b""),
    f"pixels without the first {CUT[0]} rows and {CUT[1]} columns": _cut,
}
"""What the localizer is given of an image."""


def _spliced(localizer: Localizer, folder: Path, name: str, view: Callable[[Case], Case]) -> None:
    columns: dict[str, list[float]] = {"F1 best": [], "MCC best": [], "F1 as shipped": []}
    for case in map(view, cases(folder)):
        found = localizer.localize_encoded(case.image, case.encoded)
        f1, mcc = best_scores(found.probability, case.mask)
        columns["F1 best"].append(f1)
        columns["MCC best"].append(mcc)
        marked = metrics.counts_at(found.mask.astype(np.float32), case.mask, 0.5)
        columns["F1 as shipped"].append(float(metrics.f1(marked)))
    said = ", ".join(f"{score} {_mean(values)}" for score, values in columns.items())
    print(f"{folder.name}, {len(columns['F1 best'])} images, {name}: {said}", flush=True)


def best_scores(probability: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """F1 and MCC of a map [height, width], each at its own best threshold (oracle)."""
    curve = metrics.curve(metrics.quantize(probability), mask)
    return curve.best(metrics.f1).value, curve.best(metrics.mcc).value


def _authentic(localizer: Localizer, folder: Path) -> None:
    marked, low = [], []
    for case in photographs(folder):
        try:
            found = localizer.localize_encoded(case.image, case.encoded)
        except Undefined:
            continue
        marked.append(bool(found.mask.mean() > MARKED))
        low.append(found.alarm is not None and found.alarm <= CHECKED)
    said = f"over 1 % marked in {_share(marked)}, an alarm of at most {CHECKED:.0%} in {_share(low)}"
    print(f"{folder.parent.name}/{folder.name}, {len(marked)} authentic: {said}", flush=True)


def _share(found: Sequence[bool]) -> str:
    low, high = clopper_pearson(sum(found), len(found))
    return f"{np.mean(found):.1%} [{low:.1%}, {high:.1%}]"


def _crops(localizer: Localizer, spliced: Sequence[Case]) -> None:
    pairs = crops_of_one_size(spliced)
    levels = [_level(localizer(crop)) for pair in pairs for crop in pair]
    area = _auc([False, True] * len(pairs), levels)
    print(f"crops of spliced images, {len(pairs)} pairs of one size: image AUC {area}", flush=True)


def crops_of_one_size(spliced: Sequence[Case]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Crops on the grid of 8x8 pixels, half as wide and high: without a spliced pixel, and with 5 to 50 %."""
    rng = np.random.default_rng(0)
    return [pair for case in spliced if (pair := _pair(case, rng)) is not None]


def _pair(case: Case, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray] | None:
    size = [max(96, side // 16 * 8) for side in case.mask.shape]
    sides = list(zip(case.mask.shape, size, strict=True))
    found: dict[bool, np.ndarray] = {}
    for _ in range(TRIES):
        top, left = (8 * int(rng.integers(0, max(side - part, 0) // 8 + 1)) for side, part in sides)
        window = np.s_[top : top + size[0], left : left + size[1]]
        share = case.mask[window].mean()
        if share == 0 or SHARES[0] <= share <= SHARES[1]:
            found.setdefault(bool(share), case.image[window])
        if len(found) == 2:
            return found[False], found[True]
    return None


def _jitter(localizer: Localizer, split: Path) -> None:
    """Splices and their authentic twins, which show the same."""
    with open(split / "compositions.csv", encoding="utf-8", newline="") as file:
        names = [line["image"] for line in csv.DictReader(file) if line["recipe"] == "jitter"]
    levels, labels, sizes, qualities = [], [], [], []
    for name in names:
        for folder in ("authentic", "images"):
            [path] = (split / folder).glob(f"{Path(name).stem}.*")
            levels.append(_level(localizer.localize_file(path)))
            labels.append(folder == "images")
            with Image.open(path) as image:
                sizes.append(image.width * image.height)
                steps = getattr(image, "quantization", {}).get(0, [0])
                qualities.append(-sum(steps))
    alone = f"size alone {_auc(labels, sizes)}, JPEG quality alone {_auc(labels, qualities)}"
    print(f"jitter, {len(names)} pairs: image AUC {_auc(labels, levels)}; {alone}", flush=True)


def _small_in_large(localizer: Localizer, images: Sequence[np.ndarray]) -> None:
    """A 96 x 96 part with another past in 12 megapixels of photographs, and in its own megapixel."""
    rng = np.random.default_rng(0)
    rows = -(-LARGE[0] // 320)
    tiles = [image[:320, :320] for image in images if min(image.shape[:2]) >= 320]
    columns = -(-LARGE[1] // 320)
    chosen = [tiles[i] for i in rng.integers(len(tiles), size=rows * columns)]
    large = np.concatenate([np.concatenate(chosen[i * columns : (i + 1) * columns], 1) for i in range(rows)])
    large = np.ascontiguousarray(large[: LARGE[0], : LARGE[1]])
    top, left = 8 * int(rng.integers(100, 250)), 8 * int(rng.integers(100, 350))
    window = np.s_[top : top + SMALL, left : left + SMALL]
    noisy = large[window] + 6 * rng.standard_normal((SMALL, SMALL, 3))
    large[window] = noisy.clip(0, 255).astype(np.uint8)
    mask = np.zeros(LARGE, bool)
    mask[window] = True
    own = np.s_[top - 464 : top + 560, left - 464 : left + 560]
    found = {"12 megapixels": (large, mask), "its own megapixel": (large[own], mask[own])}
    areas = {name: metrics.auc(localizer(image).probability, truth) for name, (image, truth) in found.items()}
    print("a noisy 96 x 96 part, pixel AUC: " + ", ".join(f"{name} {area:.3f}" for name, area in areas.items()))


def _level(found: Found) -> float:
    """The image's score, or the map's peak for a model without one."""
    return float(np.quantile(found.probability, 0.99)) if found.score is None else found.score


def _auc(labels: Sequence[bool], levels: Sequence[float]) -> str:
    """With the interval of a bootstrap over images."""
    rng = np.random.default_rng(0)
    truth, values = np.array(labels), np.array(levels, float)
    drawn: list[float] = []
    while len(drawn) < 500:
        chosen = rng.integers(len(truth), size=len(truth))
        if truth[chosen].any() and not truth[chosen].all():
            drawn.append(float(roc_auc_score(truth[chosen], values[chosen])))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{roc_auc_score(truth, values):.3f} [{low:.3f}, {high:.3f}]"


def _mean(values: Sequence[float]) -> str:
    low, high = bootstrap.of_mean(np.array(values), seed=0)
    return f"{np.mean(values):.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    errors.run(main)
