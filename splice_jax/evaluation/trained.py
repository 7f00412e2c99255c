"""The trained rows of an evaluation: which run each is taken from."""

from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

from splice_jax.configuration import load_run_config
from splice_jax.errors import UserError, one_line
from splice_jax.localizers.family import note, rows_of_run, sees_patches

GRID_FIELDS = ("patch_stride", "orientations")
"""How closely an evaluation looks: the same for the rows of all runs whose network sees patches."""


DATA_FIELDS = ("dataset", "data_dir", "split", "split_seed")


class Run(NamedTuple):
    """A trained run, as an evaluation looks at images with it."""

    workdir: Path
    config: ConfigDict

    def note(self) -> str:
        """What is to be printed behind its rows' names: see `family.note`, and whether it was trained on other data."""
        trained = load_run_config(self.workdir)
        if "imported" in trained:  # Nobody knows on what.
            return note(trained)
        domain = "in-domain" if _data(trained) == _data(self.config) else "cross-data-set"
        return ", ".join(filter(None, (note(trained), domain)))


def runs_by_row(config: ConfigDict, workdir: Path) -> dict[str, Run]:
    """The run of every trained row that can be evaluated: the evaluation's own, and those that `config.runs` names.

    A row that two runs hold belongs to the one that was trained as it.

    Args:
      config: the evaluation's; its `method` is empty where it has no run of its own.
      workdir: the evaluation's.

    Raises:
      UserError: a folder that is no run, or two runs that were trained as one row.
    """
    runs = [Run(workdir, config)] if config.method else []
    for name in filter(None, map(str.strip, config.runs.split(","))):
        runs.append(_other(Path(name), config))
    found: dict[str, Run] = {}
    for run in runs:
        row = run.config.method
        if row in found:
            both = f"{found[row].workdir} and {run.workdir}"
            raise UserError(f"--config.runs: {both} both hold the row {row!r}; evaluate them apart")
        found[row] = run
    for run in runs:
        for row in rows_of_run(run.config.method):
            found.setdefault(row, run)
    return found


def _other(workdir: Path, evaluation: ConfigDict) -> Run:
    try:
        config = load_run_config(workdir)
    except UserError as error:
        raise UserError(f"--config.runs: {one_line(error)}") from error
    fields = (*DATA_FIELDS, *(GRID_FIELDS if sees_patches(config.method) else ()))
    config.update({field: evaluation[field] for field in fields})
    return Run(workdir, config)


def _data(config: ConfigDict) -> tuple[str, str]:
    """The data set; that of a folder is the folder."""
    return config.dataset, str(Path(config.data_dir).resolve()) if config.dataset == "folder" else ""
