"""Which images a run was trained on, where they are split by seed: its split is recorded in the run.

A split is drawn from the images that are there. Where some are added or removed it is drawn anew, and may then test on
what the run was trained on.
"""

from pathlib import Path

from splice_jax.errors import UserError
from splice_jax.files import replacing

FILE_NAME = "division.txt"


def record_division(workdir: Path, division: str) -> None:
    """Writes down the split of a run, or makes sure that it goes on with the one that it began with.

    Args:
      workdir: the run.
      division: digits that stand for the split, see `splice_jax.data.Split`; "" where none was drawn.

    Raises:
      UserError: the run began with another split.
    """
    require_division(workdir, division)
    if division and not (workdir / FILE_NAME).exists():
        with replacing(workdir / FILE_NAME) as beside:
            beside.write_text(f"{division}\n")


def require_division(workdir: Path, division: str) -> None:
    """Raises UserError where a run is known to have been trained on another split."""
    path = workdir / FILE_NAME
    if division and path.exists() and path.read_text().strip() != division:
        raise UserError(
            f"{workdir}: was trained on another split of these images than is drawn now; images were added, removed or "
            "renamed since, or moved by hand; put them back, or train anew"
        )
