"""Scores a run on a split of a data set and shows the results in figures.

    python evaluate.py --workdir=runs/columbia [--config.FIELD=VALUE ...]

The run's configuration is read from the workdir; fields given here change it for this evaluation only, for example
`--config.dataset=folder --config.data_dir=DIR` to score the run on other images, `--config.methods=sgn,noi1` to choose
the rows, `--config.degradations="jpeg:90,70;blur:1"` for scores under compression and blur, or
`--config.crf.iterations=10`. `--config.rescore` scores the cached maps again without running a network. Results go to
WORKDIR/evaluation/DATASET-SPLIT.

`--config.runs=runs/bappy,runs/mfcn` adds the rows of other runs to the run's own.

    python evaluate.py --config=configs/rivals.py --workdir=runs/rivals [--config.FIELD=VALUE ...]

scores rows that need no run, and those of `runs`; the workdir only holds the results and does not become a run. If the
package is installed, `splice-jax evaluate` does the same.
"""

import sys
from typing import NoReturn

from splice_jax import cli


def main() -> NoReturn:
    """Runs `splice-jax evaluate` with this script's arguments."""
    cli.main(["evaluate", *sys.argv[1:]])


if __name__ == "__main__":
    main()
