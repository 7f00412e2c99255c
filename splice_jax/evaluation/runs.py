"""The trained rows of an evaluation, and the run each is taken from."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

from splice_jax.errors import UserError, one_line
from splice_jax.methods.registry import family
from splice_jax.runs import schema
from splice_jax.runs.configuration import FILE_NAME, load_run_config
from splice_jax.runs.division import require_division


class Run(NamedTuple):
    """A trained run."""

    workdir: Path
    config: ConfigDict
    """As used by an evaluation."""
    trained: ConfigDict
    """As it was trained."""

    def note(self) -> str:
        """How its network differs from the published one, and whether it is scored on data it was not trained on."""
        note = family(self.trained.method).note(self.trained)
        if "imported" in self.trained:  # Its training data are unknown.
            return note
        domain = "in-domain" if _data(self.trained) == _data(self.config) else "cross-data-set"
        return ", ".join(filter(None, (note, domain)))


def runs_by_row(config: ConfigDict, workdir: Path) -> dict[str, Run]:
    """The run of every trained row that can be evaluated: the evaluation's own, and those that `config.runs` names.

    If two runs hold a row, it is taken from the one that was trained as it.

    Args:
      config: the evaluation's configuration.
      workdir: the evaluation's workdir, which may not be a run.

    Raises:
      UserError: a folder is not a run, two runs were trained as the same row, or a run was trained on another split of
        the data set and would be scored on its training images.
    """
    own = [_own(workdir, config)] if (workdir / FILE_NAME).exists() else []
    runs = [*own, *(_other(folder, config) for folder in named_runs(config))]
    found: dict[str, Run] = {}
    for run in runs:
        _check_split(run)
        row = run.config.method
        if row in found:
            both = f"{found[row].workdir} and {run.workdir}"
            raise UserError(f"--config.runs: {both} both hold the row {row!r}; evaluate them apart")
        found[row] = run
    for run in runs:
        for row in family(run.config.method).rows(run.config.method):
            found.setdefault(row, run)
    return found


def named_runs(config: ConfigDict) -> list[Path]:
    """The folders that `config.runs` names."""
    return [Path(name) for name in map(str.strip, config.runs.split(",")) if name]


def _own(workdir: Path, config: ConfigDict) -> Run:
    trained = load_run_config(workdir)
    if config.runs and not family(config.method).sees_patches:  # The patch grid is meant for the other runs.
        config = _with_fields(config, trained, schema.LOOKS_CLOSELY)
    return Run(workdir, config, trained)


def _other(workdir: Path, evaluation: ConfigDict) -> Run:
    try:
        trained = load_run_config(workdir)
    except UserError as error:
        raise UserError(f"--config.runs: {one_line(error)}") from error
    fields = (*schema.LOOKS_AT, *(schema.LOOKS_CLOSELY if family(trained.method).sees_patches else ()))
    return Run(workdir, _with_fields(trained, evaluation, fields), trained)


def _with_fields(config: ConfigDict, source: ConfigDict, fields: Iterable[str]) -> ConfigDict:
    changed = ConfigDict(config.to_dict())
    changed.update({field: source[field] for field in fields})
    return changed


def _data(config: ConfigDict) -> tuple[str, str]:
    """What identifies the data set; for `folder`, the folder."""
    return config.dataset, str(Path(config.data_dir).resolve()) if config.dataset == "folder" else ""


def _at_home(run: Run) -> bool:
    """Whether a run is evaluated on the data set it was trained on."""
    return "imported" not in run.trained and _data(run.trained) == _data(run.config)


def own_part(config: ConfigDict, runs: Mapping[str, Run]) -> bool:
    """Whether the data set is a flat folder that a run was trained on, and thus split by seed; if so, prints this."""
    from splice_jax.data.sets.builders import split_by_seed  # TFDS takes half a second to import.

    at_home = [run for run in runs.values() if _at_home(run)]
    if config.dataset != "folder" or not at_home or not split_by_seed(config.dataset, config.data_dir):
        return False
    what = "all of it, training images included" if config.split == "all" else f"its {config.split} part"
    workdir, seed = at_home[0].workdir, config.split_seed
    print(f"{config.data_dir}: {workdir} was trained on a part of it; scored is {what}, split_seed {seed}", flush=True)
    return True


def check_division(runs: Mapping[str, Run], division: str) -> None:
    """Checks that no run was trained on another split of the data set it is scored on.

    Raises:
      UserError: a run was, and could be scored on its training images.
    """
    for run in filter(_at_home, runs.values()):
        require_division(run.workdir, division)


def _check_split(run: Run) -> None:
    from splice_jax.data.sets.builders import split_by_seed  # TFDS takes half a second to import.

    trained, scored = run.trained.split_seed, run.config.split_seed
    if _at_home(run) and trained != scored and split_by_seed(run.config.dataset, run.config.data_dir):
        raise UserError(
            f"{run.workdir}: was trained with split_seed {trained}, and would be scored on images that it was trained "
            f"on; set --config.split_seed={trained}"
        )
