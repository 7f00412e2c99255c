"""Data sets by name, as TFDS builders: array_record files with random access, without TensorFlow."""

import functools
from collections.abc import Callable
from pathlib import Path

from splice_jax.data.sets.builders.base import SpliceBuilder, is_prepared, prepare
from splice_jax.data.sets.builders.carvalho import Carvalho
from splice_jax.data.sets.builders.columbia import Columbia
from splice_jax.data.sets.builders.folder import Folder
from splice_jax.data.sets.builders.manual import ManualBuilder
from splice_jax.data.sets.builders.nc2016 import Nc2016
from splice_jax.data.sets.builders.pairs import fingerprint, is_flat, list_pairs
from splice_jax.data.sets.builders.synthetic import Synthetic
from splice_jax.data.sets.reading import USUAL, Reading
from splice_jax.errors import UserError
from splice_jax.runtime import user_cache


def cache() -> Path:
    """Where prepared sets without a data_dir are stored: splice_jax/tfds in $XDG_CACHE_HOME or ~/.cache."""
    return user_cache() / "tfds"


def _synthetic(data_dir: str, _: Reading) -> SpliceBuilder:
    return Synthetic(Path(data_dir) if data_dir else cache())


def _folder(data_dir: str, reading: Reading) -> SpliceBuilder:
    if not data_dir:
        raise UserError("data_dir: is empty; a `folder` data set needs the folder of its images/ and masks/")
    folder = Path(data_dir).expanduser()
    listed = list_pairs(folder, reading.mask_pattern)
    return Folder(listed, cache() / fingerprint(folder, listed.pairs, reading), reading, flat=is_flat(folder))


def manual_builder(
    dataset: str, data_dir: str, manual_dir: Path | None = None, reading: Reading = USUAL
) -> ManualBuilder:
    """The builder of a data set its owners distribute; their folder, `manual_dir`, is only needed for preparing."""
    return MANUAL[dataset](Path(data_dir).expanduser() if data_dir else cache(), manual_dir, reading)


def _already_prepared(dataset: str, data_dir: str, _: Reading) -> SpliceBuilder:
    builder = manual_builder(dataset, data_dir)
    if not is_prepared(builder):
        raise UserError(
            f"{builder.data_dir}: {dataset} is not prepared there; run splice-jax prepare {dataset}, which says how, "
            "or set data_dir to where it is"
        )
    return builder


MANUAL: dict[str, type[ManualBuilder]] = {"columbia": Columbia, "carvalho": Carvalho, "nc2016": Nc2016}
"""Data sets that users must get from their owners: name -> builder."""

BUILDERS: dict[str, Callable[[str, Reading], SpliceBuilder]] = {
    "synthetic": _synthetic,
    "folder": _folder,
    **{name: functools.partial(_already_prepared, name) for name in MANUAL},
}
"""Data set name -> its builder for a data_dir, and for how the files of a `folder` are taken."""


def split_by_seed(dataset: str, data_dir: str = "") -> bool:
    """Whether a data set's train, val and test splits are drawn by seed when it is trained on."""
    return dataset in MANUAL or dataset == "folder" and is_flat(Path(data_dir).expanduser())


def prepared(dataset: str, data_dir: str = "", reading: Reading = USUAL) -> SpliceBuilder:
    """The builder of a data set, which is prepared now if it was not.

    Raises:
      UserError: there is no such data set, or something is wrong with the user's files or folder.
    """
    if dataset not in BUILDERS:
        raise UserError(f"dataset: {dataset!r} is none of {', '.join(sorted(BUILDERS))}")
    builder = BUILDERS[dataset](data_dir, reading)
    prepare(builder, f"{dataset} {data_dir}".strip())
    return builder
