"""Splicing data sets: images with masks of what was spliced, by random access."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from jaxtyping import Bool, UInt8

from splice_jax.errors import UserError
from splice_jax.images import read_image, read_mask


@dataclass(frozen=True)
class Example:
    """One image and the truth about it: `mask` is True where it was spliced, nowhere in an authentic image."""

    image: UInt8[np.ndarray, "height width 3"]
    mask: Bool[np.ndarray, "height width"]
    name: str
    authentic: bool
    encoded: bytes = b""
    """The image's file, where it has one: a JPEG holds more than its pixels."""


class Split(Sequence[Example]):
    """The examples of a split, decoded each time one is asked for."""

    def __init__(self, sources: Sequence[Any], identity: str = "", version: str = "", division: str = "") -> None:
        """`sources`: sequences of encoded examples, one after another; the rest: see the attributes."""
        self.identity = identity
        """A text that changes with the data set, its place and version, the split and, where one is drawn, its seed."""
        self.version = version
        """Of the data set as it was prepared."""
        self.division = division
        """Digits that stand for how the images were split by seed, "" where they were not."""
        self._sources = sources
        self._ends = np.cumsum([len(source) for source in sources])

    def __len__(self) -> int:
        return int(self._ends[-1])

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
        """The example as stored: "image" and "mask" as the bytes of a JPEG or PNG, "name" (bytes), "authentic"."""
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
) -> Split:
    """A split of a data set, which is prepared first where it is not yet and its images are at hand.

    Args:
      dataset: a name in `splice_jax.data.sets.builders.BUILDERS`.
      data_dir: of `folder`, the folder of images; of others, where the prepared set lives, "" for the user's cache.
      split: "train", "val" or "test"; "all" of a set that is split by seed: `columbia`, `carvalho` and `nc2016`.
      split_seed: of these, the seed.
      include_authentic: authentic images follow the spliced ones.
      divide_flat: a `folder` that has no train/, val/ and test/ is split by seed too; otherwise all of it is "test".

    Raises:
      UserError: no such data set or split, or anything wrong with the files.
    """
    from splice_jax.data.sets import splits  # TFDS takes half a second to import
    from splice_jax.data.sets.builders import MANUAL, base, prepared

    builder = prepared(dataset, data_dir)
    identity, version = str(builder.data_dir), builder.VERSION
    if builder.whole and (divide_flat or dataset in MANUAL):
        selections = splits.select(builder, split, split_seed, include_authentic)
        identity = f"{identity} {split} {splits.fingerprint(builder, split_seed)}"
        return Split(selections, identity, version, splits.division(builder, split_seed))
    known = [name for name in builder.counts if not name.endswith(base.AUTHENTIC)]
    if split not in known:
        place = f" in {data_dir}" if data_dir else ""
        raise UserError(f"split: {dataset}{place} has no {split!r}; it has {', '.join(known)}")
    names = [split]
    if include_authentic and split + base.AUTHENTIC in builder.counts:
        names.append(split + base.AUTHENTIC)
    return Split([base.read_split(builder, name) for name in names], f"{identity} {split}", version)
