"""Turns the folder that a data set's owners distribute into a prepared set, split by several seeds and verified."""

import sys
from pathlib import Path

from splice_jax.data.sets import splits, verify
from splice_jax.data.sets.builders import MANUAL, manual_builder
from splice_jax.data.sets.builders.base import is_prepared, prepare
from splice_jax.data.sets.builders.manual import ManualBuilder
from splice_jax.data.sets.reading import USUAL, Reading
from splice_jax.errors import UserError


def prepare_manual(
    dataset: str, manual_dir: Path | None, data_dir: str = "", reading: Reading = USUAL
) -> list[verify.Finding]:
    """Prepares a data set unless it already is, draws its splits and verifies it.

    Without a usable `manual_dir`, prints what the user has to do.

    Args:
      dataset: a name in `splice_jax.data.sets.builders.MANUAL`.
      manual_dir: the owners' folder; not needed if the set is already prepared.
      data_dir: where the prepared set goes, "" for the user's cache.
      reading: how files are taken; its mask_pattern is not used.

    Raises:
      UserError: another data set, no folder, a missing or wrong file, or no permission to write.
    """
    if dataset not in MANUAL:
        raise UserError(f"{dataset}: cannot be prepared from a folder; choose one of {', '.join(MANUAL)}")
    builder = manual_builder(dataset, data_dir, manual_dir.expanduser() if manual_dir else None, reading)
    if is_prepared(builder):
        print(f"{builder.data_dir}: prepared before; delete it to prepare it anew", file=sys.stderr)
    else:
        _require_folder(builder, manual_dir)
        prepare(builder, dataset)
    images = splits.survey(builder)
    listed = splits.image_list(builder, lambda: images)
    for seed in splits.SEEDS:
        splits.split_of(builder, listed, seed)
    return verify.verify(dataset, data_dir, images)


def _require_folder(builder: ManualBuilder, manual_dir: Path | None) -> None:
    if manual_dir is None or not manual_dir.expanduser().is_dir():
        wrong = "is missing" if manual_dir is None else f"{manual_dir} is no folder"
        print(f"{builder.TITLE}\n\n{builder.INSTRUCTIONS}\n")
        print(f"Then: splice-jax prepare {builder.name} --manual-dir=DIR --data-dir=WHERE_IT_GOES")
        raise UserError(f"--manual-dir: {wrong}; get the data set as described and name its folder")
