"""Prints how fast this machine is, and with `--output=FILE` writes it as JSON.

    python -m benchmarks [--arch=res_sgn] [--rounds=5] [--large] [--output=FILE]

Training (a gradient step on 64 patches, 8 of an image, from host memory) and localization (an image in memory to its
map), at the paper's size on random input. If PyTorch is installed (the extra `[torch]`), next to
`benchmarks/pytorch_baseline.py`: (a) as published, the global network run for every patch, and (b) as a careful user
would rewrite it, once per image. All take turns on the whole machine; a ratio is the median over rounds of the ratios
within a round, with the lowest and the highest. The baseline drops what does not fill a patch; ours scores every pixel.
"""

import argparse
import contextlib
import functools
import importlib.util
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import contestants
from benchmarks.contestants import BATCH, OURS, PATCHES_PER_IMAGE, PUBLISHED, REFERENCES, Contestant
from splice_jax.files import replacing

SIZES = {"0.4": (568, 757), "3": (1536, 2048), "12": (3000, 4000)}
"""Megapixels: height and width."""

LARGE = {"48": (6000, 8000), "100": (10000, 10000)}
TABLES = (1_000, 30_000, 500_000)
KERNELS = "devices' time in a training step of 64 patches, ms, by part of the network"
LOADING = "loader alone, patches/s, by patches in the table"
TRAINING = "training from the table, patches/s, by patches in the table"
BATCHES = (64, 256, 1024)
"""On an accelerator, where larger batches pay."""


def main() -> None:
    """Measures one thing after the other."""
    flags = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    flags.add_argument("--arch", choices=("res_sgn", "sgn", "jcs"), default="res_sgn", help="(default res_sgn)")
    flags.add_argument("--rounds", type=int, default=5, metavar="N", help="turns of everyone (default 5)")
    flags.add_argument("--large", action="store_true", help="localize up to 100 megapixels")
    flags.add_argument("--output", type=Path, metavar="FILE", help="write all figures as JSON as well")
    given = flags.parse_args()
    found: dict[str, Any] = {"machine": alone(_machine)}
    print(", ".join(f"{name} {value}" for name, value in found["machine"].items()), flush=True)
    if not contestants.have_torch():
        print("PyTorch is not installed (make torch): nothing to compare with")
    limit = found["machine"]["patches/s that this allows"]
    for batch in BATCHES if found["machine"]["platform"] != "cpu" else (BATCH,):
        title = f"training, patches/s, batch {batch}"
        found[title] = compare(title, given.rounds, limit, batch, "train", given.arch, batch)
    for megapixels, size in (SIZES | LARGE if given.large else SIZES).items():
        title, small = f"localization, images/s, {megapixels} megapixels", megapixels == "0.4"
        without = [] if small else [PUBLISHED] if megapixels == "3" else REFERENCES
        rounds = given.rounds if small else 1
        found[title] = compare(title, rounds, 0.0, 1, "localize", given.arch, *size, without=without)
    found["parts"] = alone(_parts, given.rounds)
    found[KERNELS] = alone(_kernels, given.arch)
    found[LOADING] = alone(_by_table, "loading_rate", 200)
    found[TRAINING] = alone(_by_table, "training_rate", 20)
    found["CRF, s/image"] = alone(_crf)
    with tempfile.TemporaryDirectory() as folder:
        found["commands"] = alone(_commands, Path(folder))
    for title in ("parts", KERNELS, LOADING, TRAINING, "CRF, s/image", "commands"):
        print(f"\n{title}")
        for name, value in found[title].items():
            print(f"  {name:52}{_text(value):>14}")
    if given.output:
        with replacing(given.output) as beside:
            beside.write_text(json.dumps(found, indent=2) + "\n")


def alone(function: Any, *arguments: Any) -> Any:
    """A call in a process of its own, so that JAX is not started in this one."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def compare(
    title: str, rounds: int, limit: float, count: int, *job: Any, without: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """Lets everyone work in turn, `rounds` times, and prints a table of rates and ratios.

    Args:
      title: of the table.
      rounds: how often; a turn is as many jobs as fill `contestants.TURN_SECONDS`.
      limit: what arithmetic alone would allow of that in a second, for the share that is reached; 0 for unknown.
      count: what is done in one job, patches or images.
      job: see `contestants.Contestant`.
      without: who is left out, because it would take minutes.
    """
    print(f"\n{title}\n  {'':24}{'median':>9}{'lowest':>9}{'highest':>9}  {'MB':>6}  ratios", flush=True)
    with _started([name for name in contestants.names() if name not in without], job) as everyone:
        seconds: dict[str, list[float]] = {each.name: [] for each in everyone}
        for _ in range(rounds):
            for each in everyone:
                seconds[each.name].append(each.seconds())
        memory = {each.name: each.megabytes() for each in everyone}
    found = {}
    for name, of_name in seconds.items():
        rates = sorted(count / value for value in of_name)
        ratios = {
            letter: _ratio(seconds[reference], of_name)
            for reference, letter in REFERENCES.items()
            if reference in seconds and name not in REFERENCES
        }
        found[name] = {"rates": rates, "megabytes": memory[name], "ratios": ratios}
        words = [f"{low:.1f}-{middle:.1f}-{high:.1f} x ({letter})" for letter, (low, middle, high) in ratios.items()]
        if limit and name.startswith(OURS):
            found[name]["share"] = statistics.median(rates) / limit
            words.append(f"{found[name]['share']:.0%} of the product's rate")
        middle = statistics.median(rates)
        print(
            f"  {name:24}{middle:9.3g}{rates[0]:9.3g}{rates[-1]:9.3g}  {memory[name]:6.0f}  {', '.join(words)}",
            flush=True,
        )
    return found


@contextlib.contextmanager
def _started(names: Sequence[str], job: Sequence[Any]) -> Iterator[list[Contestant]]:
    """One after the other, so that no one is warmed up beside another."""
    with contextlib.ExitStack() as stack:
        everyone = []
        for name in names:
            everyone.append(stack.enter_context(Contestant(name, *job)))
            everyone[-1].ready()
        yield everyone


def _ratio(reference: Sequence[float], ours: Sequence[float]) -> tuple[float, float, float]:
    """Lowest, median and highest, round by round."""
    ratios = sorted(theirs / own for theirs, own in zip(reference, ours, strict=True))
    return ratios[0], statistics.median(ratios), ratios[-1]


def _machine() -> dict[str, Any]:
    import jax

    from benchmarks.speed import TRAINING_GFLOP, product_rate
    from splice_jax import runtime

    runtime.set_up()
    rate = product_rate()
    return {
        "platform": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "devices": jax.local_device_count(),
        "cores": os.cpu_count(),
        "GFLOP/s, float32 product": round(rate),
        "patches/s that this allows": round(rate / TRAINING_GFLOP),
        "jax": jax.__version__,
        "python": platform.python_version(),
    }


def _parts(repeats: int) -> dict[str, float]:
    from benchmarks.speed import parts
    from splice_jax import runtime
    from splice_jax.runs.builtin.default import get_config

    runtime.set_up()
    found = {}
    for dtype in ("float32", "bfloat16"):
        config = get_config()
        config.compute_dtype = dtype
        for name, (forward, gradient) in parts(config, repeats).items():
            found[f"{name}, {dtype}, ms/patch on one device, forward"] = forward
            found[f"{name}, {dtype}, ms/patch on one device, gradient"] = gradient
    return found


def _kernels(arch: str) -> dict[str, float]:
    from benchmarks.contestants import our_config
    from benchmarks.speed import kernels
    from splice_jax import runtime

    runtime.set_up()
    config = our_config(arch)
    config.batch_size = BATCH
    return kernels(config)


def _by_table(name: str, count: int) -> dict[str, float]:
    """A rate of benchmarks/speed.py over `count` batches, for tables of few and of many patches."""
    from benchmarks import speed
    from splice_jax import runtime
    from splice_jax.runs.builtin.default import get_config

    runtime.set_up()
    rate, config = getattr(speed, name), get_config()
    config.global_network = "resnet18"
    config.batch_size, config.patches_per_image, config.num_steps = BATCH, PATCHES_PER_IMAGE, count
    found = {}
    for patches in TABLES:
        with tempfile.TemporaryDirectory() as folder:
            table = speed.sparse_table(Path(folder), patches, PATCHES_PER_IMAGE)
            for column in (table.patches, table.masks):
                column.max()  # Then it is in memory, as after a first epoch: filling holes is slower than a disk.
            found[f"{patches:,} patches"] = rate(config, table, count)
    return found


def _crf() -> dict[str, float]:
    from benchmarks.crf import made_up
    from benchmarks.speed import median_seconds
    from splice_jax import crf, runtime

    runtime.set_up()
    backends = [name for name in crf.BACKENDS if name == "jax" or importlib.util.find_spec(name)]
    found = {}
    for megapixels in ("0.4", "3"):
        [(image, probability)] = made_up(SIZES[megapixels], 1, None)
        for backend in backends:
            refine = functools.partial(crf.refine, backend, image, probability, crf.CrfParameters())
            refine()  # Compiled.
            found[f"{megapixels} megapixels, {backend}"] = median_seconds(refine, 3)
    return found


def _commands(folder: Path) -> dict[str, float]:
    from benchmarks.commands import evaluation

    return evaluation(folder)


def _text(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"
