"""The data set `folder`: a user's own images and masks, as files.

DIR/{images,masks} is flat: all of it is the test split, unless it is trained on; then it is split by seed like the
paper's data sets. DIR/{train,val,test}/{images,masks} gives several splits. A mask has its image's stem and size, 255 =
spliced. Authentic images go in `authentic` next to `images`.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from splice_jax.data.composing.compose import SPLITS
from splice_jax.data.sets.builders.base import AUTHENTIC, KEPT_SUFFIXES, Record, SpliceBuilder
from splice_jax.errors import UserError, one_line
from splice_jax.files import read_bytes, refuse_broken_link
from splice_jax.images import IMAGE_SUFFIXES, encode_png, read_image, read_mask

FLAT_SPLIT = "test"
"""The split that all images of a flat folder belong to, unless it is split by seed."""


class Pair(NamedTuple):
    """An image and its mask, or None for an authentic one."""

    image: Path
    mask: Path | None


class Folder(SpliceBuilder):
    """Builder of `folder`: the files are checked, every one, while they are read."""

    VERSION = "1.0.0"

    def __init__(self, pairs: dict[str, tuple[Pair, ...]], data_dir: Path, *, flat: bool = False) -> None:
        """`pairs` per split, from `list_pairs`; `flat`: see `is_flat`."""
        self._pairs = pairs
        self.whole = FLAT_SPLIT if flat else ""
        super().__init__(data_dir)

    def records(self) -> dict[str, Iterator[Record]]:
        """Every image with its mask, in order of name."""
        return {split: map(_record, pairs) for split, pairs in self._pairs.items()}


def is_flat(folder: Path) -> bool:
    """Whether a folder has images/ directly in it, rather than train/, val/ and test/."""
    return (folder / "images").is_dir()


def list_pairs(folder: Path) -> dict[str, tuple[Pair, ...]]:
    """The images of a folder with their masks, per split; authentic ones in a split of their own, SPLIT_authentic.

    Raises:
      UserError: there is no such folder, it has neither form or both, an image without a mask or vice versa, two files
        with the same stem, no images, or a broken link.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; data_dir must hold images/ and masks/, or train/, val/ or test/")
    for name in SPLITS:
        refuse_broken_link(folder / name)
    divided = [name for name in SPLITS if (folder / name).is_dir()]
    flat = is_flat(folder)
    if flat and divided:
        raise UserError(f"{folder}: has both images/ and {divided[0]}/; keep one of the two forms")
    if not flat and not divided:
        raise UserError(f"{folder}: has neither images/ and masks/ nor train/, val/ or test/ with these in them")
    places = {FLAT_SPLIT: folder} if flat else {name: folder / name for name in divided}
    pairs: dict[str, tuple[Pair, ...]] = {}
    for split, place in places.items():
        for name in ("images", "masks", "authentic"):
            refuse_broken_link(place / name)
        pairs[split] = _pairs_of(place)
        if (place / "authentic").is_dir():
            pairs[split + AUTHENTIC] = tuple(Pair(image, None) for image in _by_stem(place / "authentic").values())
    return {split: found for split, found in pairs.items() if found}


def fingerprint(folder: Path, pairs: dict[str, tuple[Pair, ...]]) -> str:
    """32 hexadecimal digits that change with the name, size or modification time of any of the files.

    Raises:
      UserError: a file has disappeared since it was listed.
    """
    digest = hashlib.sha256()
    for path in (path for found in pairs.values() for pair in found for path in pair if path):
        try:
            state = path.stat()
        except OSError as error:
            raise UserError(f"{path}: cannot be opened ({one_line(error)}); check the path") from error
        digest.update(f"{path.relative_to(folder)}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]


def _pairs_of(place: Path) -> tuple[Pair, ...]:
    for name in ("images", "masks"):
        if not (place / name).is_dir():
            raise UserError(f"{place / name}: no such folder; images/ and masks/ must stand side by side")
    images, masks = _by_stem(place / "images"), _by_stem(place / "masks")
    if not images and not masks:
        raise UserError(f"{place / 'images'}: no images in it ({', '.join(sorted(IMAGE_SUFFIXES))})")
    for stem in images.keys() - masks.keys():
        raise UserError(f"{images[stem]}: has no mask; add {place / 'masks' / stem}.png or move it to authentic/")
    for stem in masks.keys() - images.keys():
        raise UserError(f"{masks[stem]}: a mask without an image; add the image of that stem or remove the mask")
    return tuple(Pair(images[stem], masks[stem]) for stem in images)


def _by_stem(place: Path) -> dict[str, Path]:
    """The image files of a folder, except hidden ones, in order of stem."""
    found: dict[str, Path] = {}
    for path in sorted(place.iterdir(), key=lambda path: (path.stem, path.suffix)):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith("."):
            continue
        refuse_broken_link(path)
        if path.stem in found:
            raise UserError(f"{path}: has the same stem as {found[path.stem].name}; rename or remove one of them")
        found[path.stem] = path
    return found


def _record(pair: Pair) -> Record:
    encoded = read_bytes(pair.image)
    image = read_image(encoded, name=str(pair.image))
    if pair.mask is None:
        mask = np.zeros(image.shape[:2], bool)
    else:
        mask = read_mask(pair.mask)
        _check_mask(mask, image, pair)
    kept = pair.image.suffix.lower() in KEPT_SUFFIXES
    return Record(pair.image.stem, encoded if kept else encode_png(image), encode_png(mask), pair.mask is None)


def _check_mask(mask: np.ndarray, image: np.ndarray, pair: Pair) -> None:
    if mask.shape != image.shape[:2]:
        raise UserError(
            f"{pair.mask}: {mask.shape[1]} x {mask.shape[0]} pixels, but {pair.image.name} has "
            f"{image.shape[1]} x {image.shape[0]}; they must be equal"
        )
    if not mask.any():
        raise UserError(f"{pair.mask}: marks nothing as spliced (255); move {pair.image.name} to authentic/")
