"""Scores a run on a split of a data set and pictures the result.

    python evaluate.py --workdir=runs/columbia [--config.FIELD=VALUE ...]

The run's own configuration is read from the workdir; fields given here change it for this evaluation, for example
`--config.dataset=folder --config.data_dir=DIR` to score the run on other images, `--config.methods=sgn,noi1` to choose
the rows, `--config.degradations="jpeg:90,70;blur:1"` for scores under compression and blur, or
`--config.crf.iterations=10`. `--config.rescore` scores the cached maps again, without a network. Results go to
WORKDIR/evaluation/DATASET-SPLIT.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags, logging

from splice_jax import configuration, errors
from splice_jax.errors import UserError

_WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run, as given to train.py")


def main() -> None:
    """Parses the flags, absl's own among them, and evaluates."""
    file, overrides, rest = configuration.split_flags(sys.argv[1:])
    if file is not None:
        raise UserError("--config: the run's own config.json is used; change fields by --config.FIELD=VALUE")

    def evaluate(argv: Sequence[str]) -> None:
        if argv[1:]:
            raise UserError(f"{argv[1]}: not understood; write --workdir=DIR and --config.FIELD=VALUE")
        if not _WORKDIR.value:
            raise UserError("--workdir: say which run to evaluate, for example --workdir=runs/columbia")
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.WARNING)  # Orbax and TFDS tell of every file.
        workdir = Path(_WORKDIR.value)
        config = configuration.apply_overrides(configuration.load_run_config(workdir), overrides)
        from splice_jax.evaluation import runner  # Only now, so that mistakes are told before JAX and TFDS are loaded.

        runner.evaluate(config, workdir)

    app.run(evaluate, argv=[sys.argv[0], *rest], flags_parser=_parse)


def _parse(argv: Sequence[str]) -> list[str]:
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        raise UserError(str(error)) from error


if __name__ == "__main__":
    errors.run(main)
