"""What the packaged model, or a run of `sgt`, loses without a part of what it sees: weights set to 0, not trained anew.

    python -m benchmarks.knockout --spliced DIR... [--workdir=RUN]

DIR holds images/ and masks/. Without the weights that read it, a trace is at its typical value everywhere, as the
dropout of traces in training leaves it. A part is worth at least what is lost here; what others could have learnt in
its place is not seen. Prints means of F1 and MCC at each image's best threshold (oracle).
"""

import argparse
import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import splice_jax
from benchmarks.wild import Case, best_scores, cases
from splice_jax import errors, runtime
from splice_jax.methods.localizer import Localizer
from splice_jax.models.traces import bank

GROUPS = {
    "frequencies": ("energy", "wholeness", "blue_chroma", "red_chroma"),
    "double quantization": ("own_evidence", "unit_evidence", "single_evidence", "steps"),
    "double quantization of colours": ("blue_evidence", "red_evidence"),
    "all its evidence together": ("total_evidence",),
    "subsampled colours": ("blue_pairs", "red_pairs"),
    "residuals": ("residual", "median", "least", "peak", "coarse"),
    "correlations": ("correlation", "coarse_correlation"),
    "colours": ("tie", "colour_correlation", "sites"),
    "block grid": ("grid",),
    "recompression": ("recompression",),
    "content": ("content",),
}
"""Families of `bank.TRACES` by what they look at."""

Params = dict[str, Any]


def main() -> None:
    """Prints a line per part."""
    flags = argparse.ArgumentParser(prog="python -m benchmarks.knockout", description=__doc__)
    flags.add_argument("--spliced", type=Path, nargs="+", required=True, metavar="DIR")
    flags.add_argument("--workdir", type=Path, metavar="RUN", help="a run instead of the packaged model")
    arguments = flags.parse_args()
    runtime.set_up()
    localizer: Any = splice_jax.load(arguments.workdir)
    sets = {folder.name: list(cases(folder)) for folder in arguments.spliced}
    whole = jax.tree.map(np.asarray, localizer.variables)
    for name, without in parts():
        variables = copy.deepcopy(whole)
        without(variables["params"])
        localizer.variables = variables
        said = (f"{folder} {f1:.3f} / {mcc:.3f}" for folder, (f1, mcc) in _scores(localizer, sets).items())
        print(f"{name}: {', '.join(said)}", flush=True)
    localizer.variables = whole
    said = (f"{folder} {f1:.3f} / {mcc:.3f}" for folder, (f1, mcc) in _scores(localizer, sets, encoded=False).items())
    print(f"given as pixels, without the files: {', '.join(said)}", flush=True)


def parts() -> Iterator[tuple[str, Callable[[Params], None]]]:
    """Names, and what sets the weights of a part to 0."""
    yield "everything", lambda params: None
    names = [family.name for family in bank.TRACES for _ in range(family.number)]
    for group, families in GROUPS.items():
        yield f"without {group}", _unread(np.tile(np.isin(names, families), 2))
    half = np.arange(2 * bank.COUNT) < bank.COUNT
    yield "without the comparison with the image's own median", _unread(half)
    yield "without the comparison with photographs", _unread(~half)
    yield "without attention", lambda params: _silenced(params, [name for name in params if "attention" in name], "out")
    yield "without the image's edges", lambda params: _silenced({"": params}, [""], "correction")


def _unread(left_out: np.ndarray) -> Callable[[Params], None]:
    def without(params: Params) -> None:
        params["enter"]["kernel"] = np.where(left_out[:, None], 0, params["enter"]["kernel"])

    return without


def _silenced(params: Params, modules: Sequence[str], layer: str) -> None:
    for module in modules:
        params[module][layer] = jax.tree.map(np.zeros_like, params[module][layer])


def _scores(
    localizer: Localizer, sets: dict[str, list[Case]], *, encoded: bool = True
) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for folder, each in sets.items():
        best = []
        for case in each:
            seen = localizer.localize_encoded(case.image, case.encoded if encoded else b"")
            best.append(best_scores(seen.probability, case.mask))
        f1, mcc = np.mean(best, axis=0)
        found[folder] = float(f1), float(mcc)
    return found


if __name__ == "__main__":
    errors.run(main)
