"""The data set `folder`: a user's own images and masks, as files.

DIR/{images,masks} is flat: all of it is the test split, unless it is trained on; then it is split by seed like the
paper's data sets. DIR/{train,val,test}/{images,masks} gives several splits. A mask has its image's stem, or the name
that `mask_pattern` makes of it, and its size; 255 = spliced. Authentic images go in `authentic` next to `images`;
images whose mask is black are authentic, too.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from splice_jax.data.sets.builders.base import (
    AUTHENTIC,
    FILE_NOTE,
    MASK_NOTE,
    Note,
    Record,
    SpliceBuilder,
    attempted,
    kept_or_png,
)
from splice_jax.data.sets.builders.oriented import fitted, refuse_other_size
from splice_jax.data.sets.builders.pairs import FLAT_SPLIT, Listed, Pair
from splice_jax.data.sets.reading import USUAL, Reading
from splice_jax.errors import UserError
from splice_jax.files import read_bytes
from splice_jax.images import encode_png, mask_of, most_bytes, read_picture, told


class Folder(SpliceBuilder):
    """Builder of `folder`: the files are checked, every one, while they are read."""

    VERSION = "1.1.0"

    def __init__(self, listed: Listed, data_dir: Path, reading: Reading = USUAL, *, flat: bool = False) -> None:
        """`listed`: from `list_pairs`; `flat`: see `is_flat`."""
        self._pairs, self._reading = listed.pairs, reading
        self.skip_unreadable, self.passed_over = reading.skip_unreadable, told(listed.others)
        self.whole = FLAT_SPLIT if flat else ""
        self._black: list[Record] = []
        super().__init__(data_dir)

    def records(self) -> dict[str, Iterator[Record | UserError]]:
        """Every image with its mask, in order of name; those whose mask is black among the authentic ones."""
        splits = dict.fromkeys(name.removesuffix(AUTHENTIC) for name in self._pairs)
        parts: dict[str, Iterator[Record | UserError]] = {}
        for split in splits:
            parts |= {split: self._spliced(split), split + AUTHENTIC: self._authentic(split + AUTHENTIC)}
        return parts

    def _spliced(self, split: str) -> Iterator[Record | UserError]:
        self._black = []
        for record in attempted(self._record, self._pairs.get(split, ())):
            if isinstance(record, Record) and record.authentic:
                self._black.append(record)
            else:
                yield record

    def _authentic(self, part: str) -> Iterator[Record | UserError]:
        yield from self._black
        yield from attempted(self._record, self._pairs.get(part, ()))

    def _record(self, pair: Pair) -> Record:
        encoded = read_bytes(pair.image, most=most_bytes())
        picture = read_picture(encoded, name=str(pair.image))
        notes = [Note(FILE_NOTE, f"{pair.image}: {text}") for text in picture.notes]
        size = picture.pixels.shape[0], picture.pixels.shape[1]
        marked = np.zeros(size, bool)
        if pair.mask is not None:
            mask = mask_of(pair.mask)
            notes += [Note(MASK_NOTE, f"{pair.mask}: {text}") for text in mask.notes]
            marked, turned = fitted(mask, pair.mask, picture, pair.image, self._reading.mask_orientation)
            notes += turned
            refuse_other_size(marked, pair.mask, pair.image, size)
            if not marked.any():
                notes.append(Note(MASK_NOTE, f"{pair.mask}: marks nothing; {pair.image.name} counts as authentic"))
        stored = kept_or_png(encoded, picture.pixels)
        return Record(pair.image.stem, stored, encode_png(marked), not marked.any(), notes=tuple(notes))
