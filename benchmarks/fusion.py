"""Is `sgt` joined with the rows without training better than `sgt` alone? Decides what the page's verdict and map are.

    python -m benchmarks.fusion --spliced DIR... --authentic DIR... [--cache=DIR] [--workdir=RUN]

DIR of `--spliced` holds images/ and masks/, DIR of `--authentic` photographs, of which the half that calibrates is
used. Maps are compared in squares of 8x8 pixels. All rows' maps are joined by a logistic regression, either as they are
or only where a row stands out from what it shows in authentic photographs; images' scores are joined by another, from
how clearly each row's marked part stands apart. Everything is cross-fitted: an image is judged by what was fitted on
the other four fifths of the images, or on the other sets. Prints the difference to `sgt` alone with its 95 % interval.
Joining is better where the whole interval is above 0 for what was fitted on other sets, since the photograph that
somebody examines comes from none of them; images of one set were mostly made and saved by one program. `--cache` keeps
what the rows without training found, so that another model is judged in a fraction of the time.
"""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import splice_jax
from benchmarks.wild import Case, cases, crops_of_one_size
from splice_jax import errors, metrics, runtime
from splice_jax.data.composing.sources import find_sources
from splice_jax.evaluation.scores import bootstrap
from splice_jax.examination.authentic import compare, separation
from splice_jax.files import replacing
from splice_jax.images import read_image
from splice_jax.methods.localizer import Found, Localizer, Undefined
from splice_jax.methods.registry import hand_crafted

CALIBRATING = 1
"""Which half of the authentic photographs is used: the one that nothing was composed from."""
CELL, FOLDS, DRAWN, RESAMPLES = 8, 5, 400, 2000
"""Side of a square in pixels; folds; squares that an image is fitted with; samples of a difference of two areas."""


class Looks(NamedTuple):
    """What all rows found in one image; the main row is the first column."""

    cells: np.ndarray
    """Each row's map in squares, [rows, columns, maps]: logits of the main row, the others without mean and scale."""
    standing_out: np.ndarray
    """Per map, whether few authentic photographs look as clear to the row; always, for the main row."""
    image: np.ndarray
    """Per map, what the row says of the image as a whole."""
    truth: np.ndarray
    """Squares that are mostly spliced, [rows, columns]."""


def main() -> None:
    """Prints the comparison of maps, then of images."""
    flags = argparse.ArgumentParser(prog="python -m benchmarks.fusion", description=__doc__)
    flags.add_argument("--spliced", type=Path, nargs="+", required=True, metavar="DIR")
    flags.add_argument("--authentic", type=Path, nargs="+", required=True, metavar="DIR")
    flags.add_argument("--cache", type=Path, metavar="DIR", help="what the rows without training found")
    flags.add_argument("--workdir", type=Path, metavar="RUN", help="a run of sgt instead of the packaged model")
    arguments = flags.parse_args()
    runtime.set_up()
    main_row = splice_jax.load(arguments.workdir)
    by_set = {folder.name: list(cases(folder)) for folder in arguments.spliced}
    spliced = {name: [look(main_row, case, arguments.cache) for case in of] for name, of in by_set.items()}
    compare_maps(spliced)
    photographs = [_authentic(source.photo) for source in find_sources(arguments.authentic, None, CALIBRATING)]
    innocent = [look(main_row, case, arguments.cache) for case in photographs]
    compare_images("splices against authentic photographs", [each for of in spliced.values() for each in of], innocent)
    pairs = crops_of_one_size([case for of in by_set.values() for case in of])
    clean, dirty = ([look(main_row, _crop(each[side]), arguments.cache) for each in pairs] for side in (0, 1))
    compare_images("crops of one file, with against without a splice", dirty, clean)


def _authentic(photo: Path) -> Case:
    encoded = photo.read_bytes()
    image = read_image(encoded, name=str(photo))
    return Case(photo, image, np.zeros(image.shape[:2], bool), encoded)


def _crop(image: np.ndarray) -> Case:
    return Case(Path(), image, np.zeros(image.shape[:2], bool), b"")


def look(main_row: Localizer, case: Case, cache: Path | None) -> Looks:
    """Lets every row look at an image."""
    found = main_row.localize_encoded(case.image, case.encoded)
    probability = np.clip(found.probability.astype(np.float64), 1e-12, 1 - 1e-7)
    own = _in_cells(np.log(probability) - np.log1p(-probability))
    cells, out, separations = _others(case, cache)
    level = float(own.max()) if found.score is None else float(np.log(found.score / (1 - found.score)))
    return Looks(
        np.concatenate([own[..., None], cells], -1),
        np.array([True, *out]),
        np.array([level, *separations]),
        _in_cells(case.mask) > 0.5,
    )


def _in_cells(plane: np.ndarray) -> np.ndarray:
    """The means of squares; a remainder that fills none is left out."""
    rows, columns = (side // CELL for side in plane.shape)
    return plane[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL).mean((1, 3), dtype=np.float32)


def _others(case: Case, cache: Path | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    digest = hashlib.sha256(case.encoded + case.image.tobytes()).hexdigest()
    path = cache / f"{digest}.npz" if cache else None
    if path is not None and path.exists():
        with np.load(path) as kept:
            return kept["cells"], kept["out"], kept["separations"]
    seen = [_seen(name, case) for name in hand_crafted()]
    cells = np.stack([each[0] for each in seen], -1)
    out, separations = np.array([each[1] for each in seen]), np.array([each[2] for each in seen])
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as beside, open(beside, "wb") as file:
            np.savez_compressed(file, cells=cells.astype(np.float16), out=out, separations=separations)
    return cells, out, separations


def _seen(name: str, case: Case) -> tuple[np.ndarray, bool, float]:
    """A row's map in squares, whether it stands out, and how clearly; nothing where the row says nothing."""
    try:
        found: Found = splice_jax.localizer(name).localize_encoded(case.image, case.encoded)
    except Undefined:
        return np.zeros([side // CELL for side in case.mask.shape], np.float32), False, 0.0
    cells = _in_cells(found.probability)
    known = compare(name, found)
    spread = float(cells.std())
    scaled = (cells - cells.mean()) / spread if spread else np.zeros_like(cells)
    return scaled, known is not None and known.rare and bool(spread), separation(found)


def compare_maps(spliced: dict[str, list[Looks]]) -> None:
    """Prints best F1 and MCC of the main row's maps, and by how much joined maps are better."""
    images = [each for of in spliced.values() for each in of]
    sets = np.repeat(list(spliced), [len(of) for of in spliced.values()])
    fifths = np.random.default_rng(0).permutation(len(images)) % FOLDS
    everything = np.ones(len(images[0].standing_out), bool)
    ways = {
        "all maps": _joined(images, fifths, everything),
        "those that stand out": _joined(images, fifths, None),
        "all maps, fitted on the other sets": _joined(images, sets, everything),
    }
    alone = np.array([_best(each.cells[..., 0], each.truth) for each in images])
    for name in ("all", *spliced):
        chosen = np.ones(len(sets), bool) if name == "all" else sets == name
        for at, score in enumerate(("F1", "MCC")):
            said = [f"{name}, {chosen.sum()} images, best {score}: sgt {alone[chosen, at].mean():.3f}"]
            said += [f"{way} {_difference(best[chosen, at] - alone[chosen, at])}" for way, best in ways.items()]
            print("; ".join(said), flush=True)


def _joined(images: Sequence[Looks], folds: np.ndarray, used: np.ndarray | None) -> np.ndarray:
    """Best F1 and MCC of every image's joined map, fitted on the images of other folds.

    `used` says which maps are joined; None: those that stand out.
    """
    rng = np.random.default_rng(0)
    columns = [each.cells * (each.standing_out if used is None else used) for each in images]
    drawn = [rng.integers(each.truth.size, size=DRAWN) for each in images]
    values = [cells.reshape(-1, cells.shape[-1])[at] for cells, at in zip(columns, drawn, strict=True)]
    labels = [each.truth.ravel()[at] for each, at in zip(images, drawn, strict=True)]
    best = np.empty((len(images), 2))
    for fold in np.unique(folds):
        others = np.flatnonzero(folds != fold)
        model = _logistic(np.concatenate([values[i] for i in others]), np.concatenate([labels[i] for i in others]))
        for i in np.flatnonzero(folds == fold).tolist():
            best[i] = _best(columns[i] @ model.coef_[0], images[i].truth)
    return best


def _best(values: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """F1 and MCC at the image's best threshold (oracle)."""
    curve = metrics.curve(values.astype(np.float32), truth)
    return curve.best(metrics.f1).value, curve.best(metrics.mcc).value


def compare_images(title: str, spliced: Sequence[Looks], innocent: Sequence[Looks]) -> None:
    """Prints the AUC of the main row's score, and by how much a joined score is better."""
    rng = np.random.default_rng(0)
    images, labels = [*spliced, *innocent], np.repeat([True, False], [len(spliced), len(innocent)])
    values = np.stack([each.image for each in images])
    folds = np.concatenate([np.random.default_rng(0).permutation(len(of)) % FOLDS for of in (spliced, innocent)])
    joined = np.empty(len(images))
    for fold in range(FOLDS):
        model = _logistic(values[folds != fold], labels[folds != fold])
        joined[folds == fold] = model.decision_function(values[folds == fold])
    differences = []
    for _ in range(RESAMPLES):
        at = np.concatenate([rng.choice(np.flatnonzero(labels == label), (labels == label).sum()) for label in (0, 1)])
        differences.append(roc_auc_score(labels[at], joined[at]) - roc_auc_score(labels[at], values[at, 0]))
    low, high = np.quantile(differences, [0.025, 0.975])
    alone, both = roc_auc_score(labels, values[:, 0]), roc_auc_score(labels, joined)
    counted = f"{len(spliced)} against {len(innocent)}"
    print(f"{title}, {counted}, AUC: sgt {alone:.3f}; joined {both - alone:+.3f} [{low:+.3f}, {high:+.3f}]", flush=True)


def _logistic(values: np.ndarray, labels: np.ndarray) -> LogisticRegression:
    return LogisticRegression(class_weight="balanced", max_iter=1000).fit(values, labels)


def _difference(values: np.ndarray) -> str:
    low, high = bootstrap.of_mean(values, seed=0)
    return f"{values.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


if __name__ == "__main__":
    errors.run(main)
