"""Trains a run, or resumes one that was stopped.

    python train.py --config=configs/columbia.py --workdir=runs/columbia [--config.FIELD=VALUE ...]

Repeating the command resumes a stopped run. `splice_jax/runs/schema.py` says what every field means. If the package is
installed, `splice-jax train` does the same.
"""

import sys
from typing import NoReturn

from splice_jax import cli


def main() -> NoReturn:
    """Runs `splice-jax train` with this script's arguments."""
    cli.main(["train", *sys.argv[1:]])


if __name__ == "__main__":
    main()
