"""Masks beside images that are turned by their EXIF orientation."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool

from splice_jax.data.sets.builders.base import ORIENTATION_NOTE, Note
from splice_jax.data.sets.reading import DISPLAYED, STORED
from splice_jax.errors import UserError
from splice_jax.images import Mask, Picture, upright

Marked = Bool[np.ndarray, "height width"]


def fitted(mask: Mask, path: Path, picture: Picture, image: Path, choice: str) -> tuple[Marked, tuple[Note, ...]]:
    """The mask as it lies on the upright picture, and a note if their files disagree in orientation.

    Where they disagree, the mask was drawn either on the image's stored pixels or on the picture as it is displayed.
    If only one of both fits in size, or it does not matter, that is taken.

    Args:
      mask: the mask, from the file `path`.
      picture: the picture, from the file `image`.
      choice: stored or displayed, or "" to refuse what cannot be told.

    Raises:
      UserError: it cannot be told which was meant.
    """
    displayed = upright(mask.spliced, mask.orientation)
    if mask.orientation == picture.orientation or _upright(mask.orientation) and _upright(picture.orientation):
        return displayed, ()
    readings = {STORED: upright(mask.spliced, picture.orientation), DISPLAYED: displayed}
    size = picture.pixels.shape[:2]
    fitting = [name for name, marked in readings.items() if marked.shape == size]
    tags = f"EXIF orientation {mask.orientation}, but {image.name} has {picture.orientation}"
    if len(fitting) == 2 and not choice and not np.array_equal(readings[STORED], displayed):
        raise UserError(
            f"{path}: {tags}; set mask_orientation=stored if it was drawn on the stored pixels, =displayed if on the "
            "upright picture"
        )
    taken = choice if choice in fitting or len(fitting) != 1 else fitting[0]
    note = Note(ORIENTATION_NOTE, f"{path}: {tags}; the mask is taken as {taken or DISPLAYED}")
    return readings[taken or DISPLAYED], (note,)


def refuse_other_size(mask: Marked, path: Path, image: Path, size: tuple[int, int], way_out: str = "") -> None:
    """Raises UserError if the mask does not have the size (height, width) of the image."""
    if mask.shape != size:
        raise UserError(
            f"{path}: {mask.shape[1]} x {mask.shape[0]} pixels, but {image.name} has {size[1]} x {size[0]}; "
            f"{way_out or 'they must be equal'}"
        )


def _upright(orientation: int) -> bool:
    return orientation not in range(2, 9)
