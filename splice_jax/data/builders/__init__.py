"""Data sets by name, as TFDS builders: array_record files, read by random access, without TensorFlow."""

import os
from collections.abc import Callable
from pathlib import Path

from splice_jax.data.builders.base import SpliceBuilder, prepare
from splice_jax.data.builders.folder import Folder, fingerprint, list_pairs
from splice_jax.data.builders.synthetic import Synthetic
from splice_jax.errors import UserError


def cache() -> Path:
    """Where prepared sets live that have no data_dir of their own: $XDG_CACHE_HOME or ~/.cache, splice_jax/tfds."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "splice_jax" / "tfds"


def _synthetic(data_dir: str) -> SpliceBuilder:
    return Synthetic(Path(data_dir) if data_dir else cache())


def _folder(data_dir: str) -> SpliceBuilder:
    if not data_dir:
        raise UserError("data_dir: is empty; a `folder` data set needs the folder of its images/ and masks/")
    folder = Path(data_dir).expanduser()
    pairs = list_pairs(folder)
    return Folder(pairs, cache() / fingerprint(folder, pairs))


BUILDERS: dict[str, Callable[[str], SpliceBuilder]] = {"synthetic": _synthetic, "folder": _folder}
"""Data set name -> its builder for a data_dir."""


def prepared(dataset: str, data_dir: str = "") -> SpliceBuilder:
    """The builder of a data set that is there, prepared now where it was not.

    Raises:
      UserError: no such data set, or whatever is wrong with the user's files or folder.
    """
    if dataset not in BUILDERS:
        raise UserError(f"dataset: {dataset!r} is none of {', '.join(sorted(BUILDERS))}")
    builder = BUILDERS[dataset](data_dir)
    prepare(builder, f"{dataset} {data_dir}".strip())
    return builder
