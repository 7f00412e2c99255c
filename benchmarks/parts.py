"""Which part of what `sgt` gains comes from data, which from traces, which from attention.

    python -m benchmarks.parts --before DIR --splices DIR --spliced DIR... --authentic DIR --output DIR [--seeds=1]

DIR of `--before` is composed by the recipe `histories`, that of `--splices` by `wild`, each with train/ and val/; those
of `--spliced` hold images/ and masks/, that of `--authentic` innocent photographs. Rows see as many pixels each:

    sgn, before         the paper's network on residuals, from splices of `histories`
    sgn                 the same from the splices that the others learn from
    sgn on traces       its LSTM and mask head read the trace bank's blocks in the place of convolved residuals
    without attention   `sgt` without its attention: a block sees its surroundings, and the image's median
    sgt                 all of it

and, where `--rows` names them, `sgt` that was trained without what it otherwise sees: "without double quantization" or
another of `knockout.GROUPS`, "without coarse scales", "without edges" (the colours that the decoder sees).

Prints the processor time of each training, and for every folder F1 and MCC at each image's best threshold (oracle), and
F1 at the threshold at which a tenth of the innocent photographs have over 1 % marked. Nothing is calibrated; a second
call goes on where the first one ended.
"""

import argparse
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32
from ml_collections import ConfigDict

import splice_jax
from benchmarks.knockout import GROUPS
from benchmarks.wild import Case, best_scores, cases, photographs
from splice_jax import errors, metrics, runtime
from splice_jax.evaluation.calibrate import MARKED
from splice_jax.methods.localizer import Localizer
from splice_jax.methods.registry import register_trained
from splice_jax.methods.trained.semi_global_traces.method import HEADS, SemiGlobalTracesFamily
from splice_jax.models.kernels.lstm import LSTM
from splice_jax.models.local_network import BLOCKS, MaskHead
from splice_jax.models.semi_global_traces import Logits, SemiGlobalTraces
from splice_jax.models.traces import bank
from splice_jax.runs.builtin import builtin
from splice_jax.training.loop import train

FALSE_ALARMS = 0.1
CROPS = 10_000
BATCH, CROP_BLOCKS = 16, 32
PATCHES_OF_CROP = (CROP_BLOCKS // BLOCKS) ** 2
HIDDEN = 64


class PatchTraces(nn.Module):
    """The Semi-Global Network's LSTM and mask head over traces: patches of 8x8 blocks, each by itself."""

    @nn.compact
    def __call__(
        self,
        traces: Float32[Array, "n rows columns traces"],
        colours: Float32[Array, "n 2*rows 2*columns 3"],
        inside: Float32[Array, "n rows columns"],
    ) -> Logits:
        """As `SemiGlobalTraces`; the colours are not looked at."""
        count, rows, columns, _ = traces.shape
        down, across = -(-rows // BLOCKS), -(-columns // BLOCKS)
        padding = ((0, 0), (0, down * BLOCKS - rows), (0, across * BLOCKS - columns))
        entered = nn.Dense(HIDDEN, name="enter")(jnp.pad(traces * inside[..., None], (*padding, (0, 0))))
        patches = entered.reshape(count, down, BLOCKS, across, BLOCKS, HIDDEN).transpose(2, 4, 0, 1, 3, 5)
        sequence = LSTM(HIDDEN, 1, name="lstm")(patches.reshape(BLOCKS**2, -1, HIDDEN))
        masks = MaskHead(name="mask_head")(sequence)
        odds = (masks[..., 1] - masks[..., 0]).reshape(count, down, across, 2 * BLOCKS, 4, 2 * BLOCKS, 4)
        fine = odds.mean((4, 6)).transpose(0, 1, 3, 2, 4).reshape(count, 2 * down * BLOCKS, 2 * across * BLOCKS)
        fine = fine[:, : 2 * rows, : 2 * columns]
        labels = nn.Dense(1, name="label_head")(sequence[-1]).reshape(count, -1)
        blocks = fine.reshape(count, rows, 2, columns, 2).mean((2, 4))
        return Logits(blocks, fine, jax.nn.logsumexp(labels, 1) - jnp.log(labels.shape[1]))


class OnTraces(SemiGlobalTracesFamily):
    """`sgn on traces`, trained as `sgt` is."""

    def network(self, config: ConfigDict) -> Any:
        """Without fields."""
        self.check(config)
        return PatchTraces()


class WithoutAttention(SemiGlobalTracesFamily):
    """`sgt` with a local branch alone."""

    def network(self, config: ConfigDict) -> SemiGlobalTraces:
        """As for `sgt`, without layers."""
        self.check(config)
        return SemiGlobalTraces(config.trace_width, config.trace_depth, 0, HEADS)


class Unseeing(nn.Module):
    """A network that sees some traces at their typical value, and nothing of the colours unless `edges`."""

    network: SemiGlobalTraces
    left_out: tuple[str, ...]
    edges: bool

    def __call__(self, traces: Array, colours: Array, inside: Array) -> Logits:
        """As `SemiGlobalTraces`."""
        names = [family.name for family in bank.TRACES for _ in range(family.number)]
        seen = ~np.tile(np.isin(names, self.left_out), 2)
        logits: Logits = self.network(traces * seen, colours * self.edges, inside)
        return logits


class Without(SemiGlobalTracesFamily):
    """`sgt` trained without families of traces, or without edges."""

    def __init__(self, *families: str, edges: bool = True) -> None:
        """Names as in `bank.TRACES`."""
        self._families, self._edges = families, edges

    def network(self, config: ConfigDict) -> Any:
        """As for `sgt`."""
        return Unseeing(super().network(config), self._families, self._edges)


class Row(NamedTuple):
    """What is trained, and from which of the folders."""

    method: str
    folder: str = "splices"


FAMILIES = {
    "sgn_on_traces": OnTraces(),
    "without_attention": WithoutAttention(),
    "without_coarse_scales": Without("coarse", "coarse_correlation"),
    "without_edges": Without(edges=False),
    **{f"without {group}".replace(" ", "_"): Without(*families) for group, families in GROUPS.items()},
}
for _name, _family in FAMILIES.items():
    register_trained(_name, _family)
ROWS = {
    "sgn, before": Row("sgn", "before"),
    "sgn": Row("sgn"),
    **{name.replace("_", " "): Row(name) for name in FAMILIES},
    "sgt": Row("sgt"),
}
BY_DEFAULT = ("sgn, before", "sgn", "sgn on traces", "without attention", "sgt")


def main() -> None:
    """Trains, and prints a line per row and folder."""
    flags = argparse.ArgumentParser(prog="python -m benchmarks.parts", description=__doc__)
    for name in ("before", "splices", "authentic", "output"):
        flags.add_argument(f"--{name}", type=Path, required=True, metavar="DIR")
    flags.add_argument("--spliced", type=Path, nargs="+", required=True, metavar="DIR")
    flags.add_argument("--seeds", type=int, default=1, metavar="N")
    flags.add_argument("--crops", type=int, default=CROPS, metavar="N", help=f"of 256 x 256 pixels (default {CROPS})")
    flags.add_argument(
        "--rows", nargs="+", choices=ROWS, default=BY_DEFAULT, metavar="ROW", help="in quotes; the five by default"
    )
    given = flags.parse_args()
    runtime.set_up()
    folders = {folder.name: list(cases(folder)) for folder in given.spliced}
    innocent = list(photographs(given.authentic))
    found: dict[str, list[Mapping[str, np.ndarray]]] = {}
    for seed in range(given.seeds):
        for row in given.rows:
            localizer = _trained(given, row, seed)
            limit = _threshold(localizer, innocent)
            scores = {name: _scores(localizer, images, limit) for name, images in folders.items()}
            found.setdefault(row, []).append(scores)
            for name, values in scores.items():
                print(f"{row}, seed {seed}: {name}: {_line(values[None])}", flush=True)
    if given.seeds > 1:
        for row, of_seeds in found.items():
            for name in folders:
                print(f"{row}: {name}: {_line(np.array([each[name] for each in of_seeds]))}", flush=True)


def _trained(given: argparse.Namespace, row: str, seed: int) -> Localizer:
    method, folder = ROWS[row]
    workdir = given.output / f"{row.replace(', ', '-').replace(' ', '-')}-{seed}"
    config = builtin("histories" if method == "sgn" else "sgt")
    config.method, config.seed = method, seed
    config.data_dir = str(getattr(given, folder))
    config.num_steps = given.crops // BATCH
    if method == "sgn":
        config.num_steps = given.crops * PATCHES_OF_CROP // config.batch_size
    else:
        config.batch_size, config.crop_blocks, config.warmup_steps = BATCH, CROP_BLOCKS, config.num_steps // 10
        config.ema_decay = 0.99  # Of 0.999, a tenth of so short a training would be the beginning.
    config.validate_every, config.validation_images, config.log_every = (
        config.num_steps // 2,
        30,
        config.num_steps // 10,
    )
    before = resource.getrusage(resource.RUSAGE_SELF)
    train(config, workdir)
    after = resource.getrusage(resource.RUSAGE_SELF)
    minutes = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 60
    print(f"{row}, seed {seed}: trained in {minutes:.1f} min of processor time", flush=True)
    if method == "sgn":
        config.patch_stride = 32
    return splice_jax.load(workdir, config=config)


def _threshold(localizer: Localizer, innocent: list[Case]) -> float:
    """The least that leaves over 1 % marked in no more than a tenth of the photographs."""
    found = (localizer.localize_encoded(case.image, case.encoded).probability for case in innocent)
    return float(np.quantile([np.quantile(each, 1 - MARKED) for each in found], 1 - FALSE_ALARMS, method="higher"))


def _scores(localizer: Localizer, images: list[Case], limit: float) -> np.ndarray:
    """Means over images of best F1, best MCC, and F1 above the limit."""
    rows = []
    for case in images:
        probability = localizer.localize_encoded(case.image, case.encoded).probability
        above = metrics.counts_at((probability > limit).astype(np.float32), case.mask, 0.5)
        rows.append([*best_scores(probability, case.mask), float(metrics.f1(above))])
    return np.mean(rows, axis=0)


def _line(of_seeds: np.ndarray) -> str:
    names = ("F1 best", "MCC best", f"F1 at {FALSE_ALARMS:.0%} false alarms")
    spread = np.std(of_seeds, axis=0)
    words = zip(names, of_seeds.mean(0), spread, strict=True)
    return ", ".join(f"{name} {mean:.3f}" + (f" ± {std:.3f}" if len(of_seeds) > 1 else "") for name, mean, std in words)


if __name__ == "__main__":
    errors.run(main)
