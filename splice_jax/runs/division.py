"""Records in the run how its images were split, if they are split by seed.

A split is drawn from the images that are present. If some are added or removed it is drawn again, and may then test on
images the run was trained on.
"""

from pathlib import Path

from splice_jax.errors import UserError
from splice_jax.files import replacing

FILE_NAME = "division.txt"


def record_division(workdir: Path, division: str) -> None:
    """Records the split of a run, or checks that a resumed run still has the split it started with.

    Args:
      workdir: the run.
      division: digits that identify the split, see `splice_jax.data.Split`; "" if none was drawn.

    Raises:
      UserError: the run started with another split.
    """
    require_division(workdir, division)
    if division and not (workdir / FILE_NAME).exists():
        with replacing(workdir / FILE_NAME) as beside:
            beside.write_text(f"{division}\n")


def require_division(workdir: Path, division: str) -> None:
    """Raises UserError if the run is known to have been trained on another split."""
    path = workdir / FILE_NAME
    if division and path.exists() and path.read_text().strip() != division:
        raise UserError(
            f"{workdir}: was trained on another split of these images than is drawn now; images were added, removed or "
            "renamed since, or moved by hand; put them back, or train anew"
        )
