"""What the paper's data sets share: each comes as a folder that its owners distribute, and is stored unsplit.

A prepared set holds its spliced images in the split `whole` and its authentic ones in `whole_authentic`; which of them
train, validate and test is drawn by seed, in `splice_jax.data.sets.splits`.
"""

import abc
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Bool

from splice_jax.data.sets.builders.base import AUTHENTIC, FILE_NOTE, Note, Record, SpliceBuilder, attempted, kept_or_png
from splice_jax.data.sets.reading import USUAL, Reading
from splice_jax.errors import UserError, listed
from splice_jax.files import read_bytes, refuse_broken_link
from splice_jax.images import Picture, encode_png, most_bytes, read_picture

WHOLE = "whole"
"""The only split of a prepared set apart from its authentic images. (TFDS reserves the name "all".)"""

WHOLE_COPY = "get a whole copy of both"
"""What to do about a mask of another size."""

DEPTH = 2
"""How many folders deep the data may lie below the folder the user names: archives unpack into folders."""

Mask = Bool[np.ndarray, "height width"]


class Source(NamedTuple):
    """The files of one image: no mask if it is authentic, several if several regions were spliced separately.

    photographs: names of those it was made from, if the data set says so.
    """

    image: Path
    masks: tuple[Path, ...] = ()
    photographs: tuple[str, ...] = ()


class Published(NamedTuple):
    """The images that a data set should have.

    exact: whether any other number is wrong; otherwise copies are known to differ. source: where the numbers come from.
    sizes: the smallest and the largest, (width, height), if known.
    """

    spliced: int
    authentic: int
    exact: bool
    source: str
    sizes: tuple[tuple[int, int], tuple[int, int]] | None = None


class ManualBuilder(SpliceBuilder):
    """A data set made from its owners' folder. Subclasses define `VERSION`, the constants and the abstract methods."""

    whole = WHOLE
    TITLE: str
    INSTRUCTIONS: str
    """Where to get it, what the folder looks like, and the terms."""
    PUBLISHED: Published

    def __init__(self, data_dir: Path, manual_dir: Path | None = None, reading: Reading = USUAL) -> None:
        """`manual_dir`: the owners' folder; it and how it is read matter for preparing only."""
        self._manual_dir, self._mask_orientation = manual_dir, reading.mask_orientation
        self.skip_unreadable = reading.skip_unreadable
        super().__init__(data_dir)

    @abc.abstractmethod
    def sources(self, folder: Path) -> list[Source]:
        """The files of all images, in the order in which they will be read.

        Raises:
          UserError: the folder is not laid out as expected, or a file is missing.
        """

    @abc.abstractmethod
    def read_spliced(self, mask: Path, image: Path, picture: Picture) -> tuple[Mask, tuple[Note, ...]]:
        """Reads a mask file, True = spliced, of the size of the picture, which is from the file `image`.

        Raises:
          UserError: the mask is unreadable, has the wrong size, or is not a mask.
        """

    def stored(self) -> dict[str, Any]:
        """The features of every set, plus the photographs that the image was made from."""
        return super().stored() | {"origins": tfds.features.Text()}

    def records(self) -> dict[str, Iterator[Record | UserError]]:
        """Every image with its mask, with spliced and authentic ones separate."""
        if self._manual_dir is None or not self._manual_dir.is_dir():
            raise UserError(f"{self._manual_dir or '--manual-dir'}: no such folder; give the unpacked {self.TITLE}")
        sources = self.sources(self._manual_dir)
        _refuse_same_names(sources)
        spliced = [source for source in sources if source.masks]
        authentic = [source for source in sources if not source.masks]
        parts = {WHOLE: attempted(self._record, spliced), WHOLE + AUTHENTIC: attempted(self._record, authentic)}
        return {part: records for part, records in parts.items() if part == WHOLE or authentic}

    def _record(self, source: Source) -> Record:
        encoded = read_bytes(source.image, most=most_bytes())
        picture = read_picture(encoded, name=str(source.image))
        notes = [Note(FILE_NOTE, f"{source.image}: {text}") for text in picture.notes]
        size = picture.pixels.shape[0], picture.pixels.shape[1]
        mask = np.zeros(size, bool)
        for path in source.masks:
            refuse_broken_link(path)
            marked, more = self.read_spliced(path, source.image, picture)
            mask |= marked
            notes += more
        if source.masks and (not mask.any() or mask.all()):
            share = "everything" if mask.any() else "nothing"
            raise UserError(f"{source.masks[0]}: marks {share} as spliced; get a whole copy of the data set")
        stored, photographs = kept_or_png(encoded, picture.pixels), "\n".join(source.photographs)
        return Record(source.image.stem, stored, encode_png(mask), not source.masks, photographs, tuple(notes))


def _refuse_same_names(sources: list[Source]) -> None:
    seen: dict[str, Path] = {}
    for source in sources:
        first = seen.setdefault(source.image.stem, source.image)
        if first is not source.image:
            raise UserError(f"{source.image}: has the same name as {first}; keep one of the two")


def entries(folder: Path) -> dict[str, Path]:
    """The visible contents of a folder by lower-case name, in order of name."""
    visible = (path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))
    return {path.name.lower(): path for path in sorted(visible)}


def folder_with(folder: Path, name: str) -> Path:
    """The folder, `folder` or one up to `DEPTH` levels below, that holds a folder of this name in any case.

    Raises:
      UserError: there is no such folder.
    """
    waiting = deque([(folder, 0)])
    while waiting:
        place, depth = waiting.popleft()
        inside = entries(place)
        if name.lower() in inside and inside[name.lower()].is_dir():
            return place
        if depth < DEPTH:
            waiting.extend((path, depth + 1) for path in inside.values() if path.is_dir())
    raise UserError(f"{folder}: holds no folder {name}, nor does a folder in it; unpack the data set there")


def files(folder: Path, suffixes: tuple[str, ...], what: str) -> list[Path]:
    """The files of a folder with these suffixes, in any case, in order of name.

    Raises:
      UserError: there are none, or one is a broken link.
    """
    found = [path for path in entries(folder).values() if path.suffix.lower() in suffixes and not path.is_dir()]
    for path in found:
        refuse_broken_link(path)
    if not found:
        raise UserError(f"{folder}: no {what} in it ({', '.join(suffixes)}); unpack the data set there")
    return found


def refuse_missing(missing: list[str], folder: Path) -> None:
    """Raises a UserError that names all missing files at once, if there are any."""
    if missing:
        raise UserError(f"{folder}: {len(missing)} files are missing ({listed(missing)}); get a whole copy")
