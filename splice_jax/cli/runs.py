"""Commands about runs: `train`, `evaluate`, `tune-crf` and `summarize`. train.py and evaluate.py call them too."""

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from splice_jax import errors
from splice_jax.cli.parser import Commands, positive

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ml_collections import ConfigDict

    from splice_jax.runs.configuration import Override

_CONFIG_HELP = """--config=NAME or --config=FILE.py chooses a configuration; --config.FIELD=VALUE changes a field of it,
--config.SECTION.FIELD=VALUE one in a section."""


def _add_train(commands: Commands) -> None:
    text = "Train a run, or go on with one that was stopped: the same command goes on where it was."
    command = commands.add_parser("train", help="train a run", description=text)
    command.add_argument("--workdir", type=Path, metavar="DIR", help="folder of the run, made where missing")
    command.takes_configuration = True
    command.more = _configurations
    _add_hosts(command)
    command.set_defaults(run=_train)


def _train(arguments: argparse.Namespace) -> None:
    from splice_jax.runs import configuration

    config = configuration.read_config(arguments.config or "default")
    config = configuration.apply_overrides(config, arguments.overrides)
    if arguments.workdir is None:
        raise errors.UserError("--workdir: say where the run belongs, for example --workdir=runs/columbia")
    errors.require_extra("train")
    with _set_up(config, arguments):
        from splice_jax.training import loop  # Only now, so that mistakes are reported before JAX and TFDS load.

        loop.train(config, arguments.workdir)


def _add_evaluate(commands: Commands) -> None:
    text = """Score a run on a split of a data set and picture the result, in WORKDIR/evaluation/DATASET-SPLIT. The
    run's own configuration is read from the workdir; fields given here change it for this evaluation:
    --config.dataset=folder --config.data_dir=DIR scores the run on other images, --config.methods=sgn,noi1 chooses the
    rows, --config.degradations="jpeg:90,70;blur:1" adds scores under compression and blur,
    --config.runs=runs/bappy,runs/mfcn adds the rows of other runs, --config.rescore scores the cached maps again,
    without a network. With --config the workdir is no run but a folder for the scores of rows that need none, and of
    those of runs."""
    command = commands.add_parser("evaluate", help="score a run and picture the result", description=text)
    command.add_argument("--workdir", type=Path, metavar="DIR", help="folder of the run, as given to train")
    command.takes_configuration = True
    command.more = _configurations
    _add_hosts(command)
    command.set_defaults(run=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> None:
    if arguments.workdir is None:
        raise errors.UserError("--workdir: say which run to evaluate, for example --workdir=runs/columbia")
    config = _config_of(arguments.workdir, arguments.config, arguments.overrides)
    errors.require_extra("evaluate")
    if config.rescore and arguments.coordinator:
        raise errors.UserError("--coordinator: scoring cached maps again is work for one process; leave the flag out")
    with contextlib.nullcontext() if config.rescore else _set_up(config, arguments):
        from splice_jax.evaluation.evaluate import evaluate  # Only now, so that mistakes are reported before JAX loads.

        evaluate(config, arguments.workdir)


def _config_of(workdir: Path, name: str | None, overrides: "Sequence[Override]") -> "ConfigDict":
    """The run's configuration, or the named one if the workdir is not a run."""
    from splice_jax.runs import configuration

    if name is None:
        return configuration.evaluation_config(workdir, overrides)
    if (workdir / configuration.FILE_NAME).exists():
        raise errors.UserError("--config: the run's own config.json is used; change fields by --config.FIELD=VALUE")
    return configuration.apply_overrides(configuration.read_config(name), overrides)


def _configurations() -> str:
    from splice_jax.runs.builtin import NAMES

    return f"{_CONFIG_HELP} Built-in configurations: {', '.join(NAMES)}."


def _add_hosts(command: argparse.ArgumentParser) -> None:
    hosts = command.add_argument_group("several processes (docs/scaling.md)", "The same command on every one of them.")
    address = "HOST:PORT of process 0; auto: asked of Slurm, Open MPI, Kubernetes or a TPU pod"
    hosts.add_argument("--coordinator", default="", metavar="ADDRESS", help=address)
    hosts.add_argument("--num-processes", type=positive, metavar="N", help="how many there are")
    hosts.add_argument("--process-id", type=int, metavar="I", help="which one this is, 0 to N - 1")


@contextlib.contextmanager
def _set_up(config: "ConfigDict", arguments: argparse.Namespace) -> "Iterator[None]":
    """JAX as configured, together with the other processes if there are any."""
    from absl import logging

    from splice_jax import hosts, runtime

    joining = arguments.coordinator, arguments.num_processes, arguments.process_id
    hosts.check(*joining)
    logging.set_verbosity(logging.WARNING)  # Orbax and TFDS report every file.
    runtime.set_up(config.cpu_devices)
    with hosts.together(*joining):
        yield


def _add_tune_crf(commands: Commands) -> None:
    text = "Choose the CRF's parameters by the score on the run's validation split and write the best into the run."
    command = commands.add_parser("tune-crf", help="CRF parameters by validation F1", description=text)
    command.add_argument("--workdir", type=Path, required=True, metavar="DIR", help="a trained run")
    command.add_argument("--search", choices=("random", "grid"), default="random", help="(default random)")
    command.add_argument("--trials", type=positive, default=40, metavar="N", help="of a random search (default 40)")
    command.add_argument("--seed", type=int, default=0, metavar="S", help="of a random search (default 0)")
    thresholds = "the headline's best-per-image (default), or 0.5"
    command.add_argument("--threshold", choices=("best-per-image", "0.5"), default="best-per-image", help=thresholds)
    command.add_argument("--score", choices=("f1", "mcc"), default="f1", help="(default f1)")
    command.add_argument("--images", type=positive, metavar="N", help="validation images, evenly taken (default all)")
    command.add_argument("--workers", type=positive, metavar="N", help="processes of pydensecrf (default one per core)")
    command.set_defaults(run=_tune_crf)


def _tune_crf(arguments: argparse.Namespace) -> int:
    errors.require_extra("evaluate")
    from splice_jax.evaluation import tune_crf

    options = {name: value for name, value in vars(arguments).items() if name != "run"}
    workdir = options.pop("workdir")
    print(tune_crf.text(tune_crf.tune(workdir, **options)))
    print(f"written into {workdir / 'config.json'}; all trials are in {workdir / tune_crf.FILE_NAME}")
    return 0


def _add_summarize(commands: Commands) -> None:
    text = "Mean and standard deviation over runs that differ in their seeds, beside the published figures."
    command = commands.add_parser("summarize", help="mean ± std over runs", description=text)
    command.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="an evaluated run, or a scores.json")
    command.add_argument("--evaluation", default="", metavar="NAME", help="which, where a run has several")
    command.add_argument("--output", type=Path, metavar="FILE", help="write all conventions as JSON as well")
    command.set_defaults(run=_summarize)


def _summarize(arguments: argparse.Namespace) -> int:
    from splice_jax.evaluation import summary

    found = summary.summarize(arguments.runs, evaluation=arguments.evaluation)
    if arguments.output:
        summary.write(arguments.output, found)
    if warning := summary.same_seeds(found):
        print(f"warning: {warning}", file=sys.stderr)
    print(summary.text(found))
    return 0


COMMANDS = (_add_train, _add_evaluate, _add_tune_crf, _add_summarize)
