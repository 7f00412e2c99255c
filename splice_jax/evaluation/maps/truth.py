"""What scoring needs to know about a split, apart from its images: names, sizes, masks, and digests of the pixels."""

import functools
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from splice_jax.data import Example, Split
from splice_jax.errors import UserError
from splice_jax.images import encode_png, read_mask
from splice_jax.workers import in_order


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
    """False if no pixel is spliced, or the image is authentic."""
    pixels: str
    """SHA-256 of the image as stored."""


def read_truths(examples: Sequence[Example]) -> list[Truth]:
    """The truth of every image of a split; images of prepared data sets are not decoded.

    Raises:
      UserError: two images have the same name, so their maps could not be told apart.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # Reading, decoding and digests leave Python's lock.
        truths = list(in_order(threads, functools.partial(_truth, examples), range(len(examples))))
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
    """A text that changes with any image's name or pixels, but not with masks: these may be corrected and rescored."""
    listed = "\n".join(f"{truth.name} {truth.pixels}" for truth in truths)
    return hashlib.sha256(listed.encode()).hexdigest()
