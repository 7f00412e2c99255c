"""Trains a run, or goes on with one that was stopped.

    python train.py --config=configs/columbia.py --workdir=runs/columbia [--config.FIELD=VALUE ...]

The same command goes on where the run was stopped. `configs/default.py` says what every field means.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags, logging

from splice_jax import errors, runtime
from splice_jax.errors import UserError
from splice_jax.runs import configuration

_WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run, made where missing")


def main() -> None:
    """Parses the flags, absl's own among them, and trains."""
    config, rest = configuration.config_from_flags(sys.argv[1:], default=Path(__file__).parent / "configs/default.py")

    def train(argv: Sequence[str]) -> None:
        if argv[1:]:
            raise UserError(f"{argv[1]}: not understood; write --workdir=DIR and --config.FIELD=VALUE")
        if not _WORKDIR.value:
            raise UserError("--workdir: say where the run belongs, for example --workdir=runs/columbia")
        logging.set_verbosity(logging.WARNING)  # Orbax and TFDS tell of every file.
        runtime.set_up(config.cpu_devices)
        from splice_jax.training import loop  # Only now, so that mistakes are told before JAX and TFDS are loaded.

        loop.train(config, Path(_WORKDIR.value))

    app.run(train, argv=[sys.argv[0], *rest], flags_parser=_parse)


def _parse(argv: Sequence[str]) -> list[str]:
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        raise UserError(str(error)) from error


if __name__ == "__main__":
    errors.run(main)
