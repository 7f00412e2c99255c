"""Which mask belongs to which image of a `folder` data set."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from splice_jax.data.composing.compose import SPLITS
from splice_jax.data.sets.builders.base import AUTHENTIC
from splice_jax.data.sets.reading import STEM, USUAL, Reading
from splice_jax.errors import UserError, listed, one_line
from splice_jax.files import refuse_broken_link
from splice_jax.images import IMAGE_SUFFIXES, images_in

FLAT_SPLIT = "test"
"""The split that all images of a flat folder belong to, unless it is split by seed."""


class Pair(NamedTuple):
    """An image and its mask, or None for an authentic one."""

    image: Path
    mask: Path | None


class Listed(NamedTuple):
    """The images of a folder with their masks, per split, and by suffix what other files are beside them."""

    pairs: dict[str, tuple[Pair, ...]]
    others: Counter[str]


def is_flat(folder: Path) -> bool:
    """Whether a folder has images/ or authentic/ directly in it, rather than train/, val/ and test/."""
    return (folder / "images").is_dir() or (folder / "authentic").is_dir()


def list_pairs(folder: Path, pattern: str = STEM) -> Listed:
    """The images of a folder with their masks; authentic ones in a split of their own, SPLIT_authentic.

    Raises:
      UserError: there is no such folder, it has neither form or both, an image without a mask or vice versa, two files
        with the same stem, no images, a broken link, or a pattern without the image's name in it.
    """
    if STEM not in pattern:
        raise UserError(f"mask_pattern: {pattern!r} does not contain {STEM}, which stands for the image's name")
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
    found = Listed({}, Counter())
    for split, place in places.items():
        for name in ("images", "masks", "authentic"):
            refuse_broken_link(place / name)
        authentic = _by_stem(place / "authentic", found.others) if (place / "authentic").is_dir() else {}
        found.pairs[split] = _pairs_of(place, pattern, found.others, alone=not authentic)
        found.pairs[split + AUTHENTIC] = tuple(Pair(image, None) for image in authentic.values())
    return found._replace(pairs={split: pairs for split, pairs in found.pairs.items() if pairs})


def fingerprint(folder: Path, pairs: Mapping[str, tuple[Pair, ...]], reading: Reading = USUAL) -> str:
    """32 hexadecimal digits that change with the name, size or modification time of any of the files, and with how
    they are read.

    Raises:
      UserError: a file has disappeared since it was listed.
    """
    digest = hashlib.sha256()
    if reading != USUAL:
        digest.update(f"{reading}\\n".encode())
    for path in (path for found in pairs.values() for pair in found for path in pair if path):
        try:
            state = path.stat()
        except OSError as error:
            raise UserError(f"{path}: cannot be opened ({one_line(error)}); check the path") from error
        name = str(path.relative_to(folder))
        digest.update(f"{name}\\0{state.st_size}\\0{state.st_mtime_ns}\\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _pairs_of(place: Path, pattern: str, others: Counter[str], *, alone: bool) -> tuple[Pair, ...]:
    """`alone`: whether there are no authentic images, so that there must be spliced ones."""
    if not alone and not (place / "images").is_dir():
        return ()
    for name in ("images", "masks"):
        if not (place / name).is_dir() and (alone or any(images_in(place / "images").images)):
            raise UserError(f"{place / name}: no such folder; images/ and masks/ must stand side by side")
    images = _by_stem(place / "images", others)
    masks = _by_stem(place / "masks", others, pattern) if (place / "masks").is_dir() else {}
    if not images and not masks and alone:
        raise UserError(f"{place / 'images'}: no images in it ({', '.join(sorted(IMAGE_SUFFIXES))})")
    if missing := [stem for stem in images if stem not in masks]:
        raise UserError(_without_mask(images[missing[0]], place / "masks", pattern, missing[1:]))
    for stem in masks.keys() - images.keys():
        raise UserError(f"{masks[stem]}: a mask without an image; add the image of that stem or remove the mask")
    return tuple(Pair(images[stem], masks[stem]) for stem in images)


def _without_mask(image: Path, masks: Path, pattern: str, more: list[str]) -> str:
    """The error for an image without a mask, with the name that comes near, as a pattern."""
    also = f" (nor have {listed(more)})" if more else ""
    near = [path for path in images_in(masks).images if image.stem in path.name]
    if near:
        fitting = near[0].name.replace(image.stem, STEM, 1)
        missing = f"{image}: has no mask {_name(pattern, image)}{also}"
        return f"{missing}, but {near[0].name} is near; set mask_pattern={fitting}"
    return f"{image}: has no mask{also}; add {masks / _name(pattern, image)} or move it to authentic/"


def _name(pattern: str, image: Path) -> str:
    name = pattern.replace(STEM, image.stem)
    return name if _has_suffix(pattern) else f"{name}.png"


def _has_suffix(pattern: str) -> bool:
    return Path(pattern).suffix.lower() in IMAGE_SUFFIXES


def _by_stem(place: Path, others: Counter[str], pattern: str = STEM) -> dict[str, Path]:
    """The image files of a folder, except hidden ones, in order of stem; those whose names fit the pattern."""
    listing = images_in(place)
    others.update(listing.others)
    found: dict[str, Path] = {}
    for stem, path in sorted(_fitting(listing.images, pattern), key=lambda pair: (pair[0], pair[1].suffix)):
        if stem in found:
            raise UserError(f"{path}: has the same stem as {found[stem].name}; rename or remove one of them")
        found[stem] = path
    return found


def _fitting(paths: Iterable[Path], pattern: str) -> Iterable[tuple[str, Path]]:
    expression = re.compile(re.escape(pattern).replace(re.escape(STEM), "(.+)", 1), re.DOTALL)
    for path in paths:
        match = expression.fullmatch(path.name if _has_suffix(pattern) else path.stem)
        if match:
            yield match[1], path
