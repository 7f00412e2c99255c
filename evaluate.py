"""Scores a run on a split of a data set and pictures the result.

    python evaluate.py --workdir=runs/columbia [--config.FIELD=VALUE ...]

The run's own configuration is read from the workdir; fields given here change it for this evaluation, for example
`--config.dataset=folder --config.data_dir=DIR` to score the run on other images, `--config.methods=sgn,noi1` to choose
the rows, `--config.degradations="jpeg:90,70;blur:1"` for scores under compression and blur, or
`--config.crf.iterations=10`. `--config.rescore` scores the cached maps again, without a network. Results go to
WORKDIR/evaluation/DATASET-SPLIT.

`--config.runs=runs/bappy,runs/mfcn` has the rows of other runs stand beside the run's own.

    python evaluate.py --config=configs/rivals.py --workdir=runs/rivals [--config.FIELD=VALUE ...]

scores rows that need no run, and those of `runs`; the workdir is a folder for the results and becomes no run.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags, logging
from ml_collections import ConfigDict

from splice_jax import errors, runtime
from splice_jax.errors import UserError
from splice_jax.runs import configuration

_WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run, as given to train.py")


def main() -> None:
    """Parses the flags, absl's own among them, and evaluates."""
    file, overrides, rest = configuration.split_flags(sys.argv[1:])

    def evaluate(argv: Sequence[str]) -> None:
        if argv[1:]:
            raise UserError(f"{argv[1]}: not understood; write --workdir=DIR and --config.FIELD=VALUE")
        if not _WORKDIR.value:
            raise UserError("--workdir: say which run to evaluate, for example --workdir=runs/columbia")
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.WARNING)  # Orbax and TFDS tell of every file.
        workdir = Path(_WORKDIR.value)
        config = _config(workdir, file, overrides)
        if not config.rescore:
            runtime.set_up(config.cpu_devices)
        from splice_jax.evaluation.evaluate import (
            evaluate as run,  # Only now, so that mistakes are told before JAX is loaded.
        )

        run(config, workdir)

    app.run(evaluate, argv=[sys.argv[0], *rest], flags_parser=_parse)


def _config(workdir: Path, file: str | None, overrides: Sequence[configuration.Override]) -> ConfigDict:
    """Of the run, or of the file where the workdir is none."""
    if file is None:
        return configuration.evaluation_config(workdir, overrides)
    if (workdir / configuration.FILE_NAME).exists():
        raise UserError("--config: the run's own config.json is used; change fields by --config.FIELD=VALUE")
    return configuration.apply_overrides(configuration.read_config_file(file), overrides)


def _parse(argv: Sequence[str]) -> list[str]:
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        raise UserError(str(error)) from error


if __name__ == "__main__":
    errors.run(main)
