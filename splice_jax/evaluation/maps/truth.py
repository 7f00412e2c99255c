"""What scoring needs of a split without its pictures: names, sizes, masks, and which pixels the images had."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from splice_jax.data import Example, Split
from splice_jax.errors import UserError
from splice_jax.images import encode_png, read_mask


class Truth(NamedTuple):
    """One image of a split."""

    position: int
    """In the split."""
    name: str
    height: int
    width: int
    mask: bytes
    """As PNG."""
    spliced: bool
    """False where no pixel is: an authentic image."""
    pixels: str
    """SHA-256 of the image as it is stored."""


def read_truths(examples: Sequence[Example]) -> list[Truth]:
    """Of every image of a split; of a prepared data set no picture is decoded.

    Raises:
      UserError: two images of one name, whose maps could not be told apart.
    """
    truths = [_truth(examples, index) for index in range(len(examples))]
    names: set[str] = set()
    for truth in truths:
        if truth.name in names:
            raise UserError(f"{truth.name}: two images of the split have this name; rename one of them")
        names.add(truth.name)
    return truths


def _truth(examples: Sequence[Example], index: int) -> Truth:
    if isinstance(examples, Split):
        encoded = examples.encoded(index)
        name, mask, authentic, stored = (
            encoded["name"].decode(),
            encoded["mask"],
            encoded["authentic"],
            encoded["image"],
        )
    else:
        example = examples[index]
        name, authentic, stored = example.name, example.authentic, example.image.tobytes()
        mask = encode_png(example.mask)
    pixels = read_mask(mask, name=f"mask of {name}")
    spliced = not authentic and bool(pixels.any())
    height, width = pixels.shape
    return Truth(index, name, height, width, mask, spliced, hashlib.sha256(stored).hexdigest())


def fingerprint(truths: Sequence[Truth]) -> str:
    """Changes with the name or the pixels of any image; masks may be corrected, and the maps scored again."""
    listed = "\n".join(f"{truth.name} {truth.pixels}" for truth in truths)
    return hashlib.sha256(listed.encode()).hexdigest()
