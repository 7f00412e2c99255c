"""Splicing data sets: images and masks of what was spliced, with random access."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from jaxtyping import Bool, UInt8

from splice_jax.data.sets.reading import USUAL, Reading
from splice_jax.errors import UserError
from splice_jax.images import read_image, read_mask


@dataclass(frozen=True)
class Example:
    """One image and its true mask: True where it was spliced, False everywhere in an authentic image."""

    image: UInt8[np.ndarray, "height width 3"]
    mask: Bool[np.ndarray, "height width"]
    name: str
    authentic: bool
    encoded: bytes = b""
    """The image's file, if there is one: a JPEG holds more than its pixels."""


class Split(Sequence[Example]):
    """The examples of a split, decoded on each access."""

    def __init__(
        self,
        sources: Sequence[Any],
        identity: str = "",
        version: str = "",
        division: str = "",
        left_out: Sequence[str] = (),
    ) -> None:
        """`sources`: sequences of encoded examples, to be concatenated; for the rest, see the attributes."""
        self.identity = identity
        """A text that changes with the data set, its location and version, the split and, if drawn, its seed."""
        self.version = version
        """The version of the prepared data set."""
        self.division = division
        """Digits that identify how the images were split by seed; "" if they were not."""
        self.left_out = left_out
        """Files that could not be used when the set was prepared, each with the reason."""
        self._sources = sources
        self._ends = np.cumsum([len(source) for source in sources])

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        encoded = self.encoded(index)
        name = encoded["name"].decode()
        return Example(
            read_image(encoded["image"], name=name),
            read_mask(encoded["mask"], name=f"mask of {name}"),
            name,
            bool(encoded["authentic"]),
            encoded["image"],
        )

    def encoded(self, index: int) -> Mapping[str, Any]:
        """The example as stored: "image" and "mask" (bytes of a JPEG or PNG), "name" (bytes) and "authentic"."""
        position = range(len(self))[index]
        source = int(np.searchsorted(self._ends, position, side="right"))
        return self._sources[source][position - int(self._ends[source]) + len(self._sources[source])]

    def __iter__(self) -> Iterator[Example]:
        return (self[index] for index in range(len(self)))


def open_split(
    dataset: str,
    data_dir: str,
    split: str,
    *,
    split_seed: int = 0,
    include_authentic: bool = False,
    divide_flat: bool = False,
    reading: Reading = USUAL,
) -> Split:
    """A split of a data set, which is prepared first if necessary and if its images are available.

    Args:
      dataset: a name in `splice_jax.data.sets.builders.BUILDERS`.
      data_dir: for `folder`, the folder of images; for others, where the prepared set is stored, "" for the user's
        cache.
      split: "train", "val" or "test"; also "all" for sets split by seed: `columbia`, `carvalho` and `nc2016`.
      split_seed: the seed of such a split.
      include_authentic: whether authentic images follow the spliced ones.
      divide_flat: whether a `folder` without train/, val/ and test/ is also split by seed; otherwise all of it is
        "test".
      reading: how the files of a `folder` are taken: mask_pattern, mask_orientation, skip_unreadable.

    Raises:
      UserError: there is no such data set or split, or something is wrong with the files.
    """
    from splice_jax.data.sets import splits  # TFDS takes half a second to import
    from splice_jax.data.sets.builders import MANUAL, base, prepared

    builder = prepared(dataset, data_dir, reading)
    identity, version = str(builder.data_dir), builder.VERSION
    if builder.whole and (divide_flat or dataset in MANUAL):
        selections = splits.select(builder, split, split_seed, include_authentic)
        identity = f"{identity} {split} {splits.fingerprint(builder, split_seed)}"
        return Split(selections, identity, version, splits.division(builder, split_seed), _left_out(builder.notes))
    known = list(dict.fromkeys(name.removesuffix(base.AUTHENTIC) for name in builder.counts))
    if split not in known:
        place = f" in {data_dir}" if data_dir else ""
        raise UserError(f"split: {dataset}{place} has no {split!r}; it has {', '.join(known)}")
    wanted = [split, split + base.AUTHENTIC] if include_authentic else [split]
    sources = [base.read_split(builder, name) for name in wanted if name in builder.counts]
    notes = {name: builder.notes.get(name, []) for name in wanted}
    return Split(sources, f"{identity} {split}", version, left_out=_left_out(notes))


def _left_out(notes: Mapping[str, Sequence[Any]]) -> tuple[str, ...]:
    from splice_jax.data.sets.builders import base

    return tuple(note.text for of_part in notes.values() for note in of_part if note.kind == base.LEFT_OUT)
