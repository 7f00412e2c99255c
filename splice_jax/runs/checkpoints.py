"""A run's checkpoints, written by Orbax: WORKDIR/checkpoints/last to resume from, WORKDIR/checkpoints/best to use.

A checkpoint appears under its step number once it is complete; only then is the previous one removed.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging

from splice_jax.errors import UserError, one_line

LAST, BEST = "last", "best"
_STATE, _RECORD = "state", "record"


class Checkpoints:
    """Keeps the newest checkpoint of one kind."""

    def __init__(self, workdir: Path, kind: str, *, read_only: bool = False) -> None:
        """`kind`: `LAST` or `BEST`. Missing folders are created unless `read_only`."""
        self._directory = workdir.absolute() / "checkpoints" / kind
        with _only_errors():
            options = ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=False, read_only=read_only)
            self._manager = ocp.CheckpointManager(self._directory, options=options)

    @property
    def step(self) -> int | None:
        """The checkpoint's step; None if there is no checkpoint."""
        return self._manager.latest_step()

    def save(self, step: int, tree: Any, record: Mapping[str, Any]) -> None:
        """Writes the arrays of `tree` and the JSON object `record`; does nothing if this step is already saved."""
        if step in self._manager.all_steps():  # written just before the run was killed
            return
        arguments = {_STATE: ocp.args.StandardSave(tree), _RECORD: ocp.args.JsonSave(dict(record))}
        self._manager.save(step, args=ocp.args.Composite(**arguments))

    def restore(self, like: Any) -> tuple[Any, dict[str, Any]]:
        """The newest checkpoint's arrays, with the structure of `like` and in host memory, and its record.

        Raises:
            UserError: there is no checkpoint, or its arrays do not match `like`.
        """
        if self.step is None:
            raise UserError(f"{self._directory}: holds no checkpoint; train the run with splice-jax train first")
        shapes = jax.tree.map(lambda leaf: np.empty(np.shape(leaf), leaf.dtype), like)
        arguments = {_STATE: ocp.args.StandardRestore(shapes), _RECORD: ocp.args.JsonRestore()}
        try:
            found = self._manager.restore(self.step, args=ocp.args.Composite(**arguments))
            _check_shapes(found[_STATE], like)
        except (ValueError, KeyError, OSError) as error:
            raise UserError(
                f"{self._directory}: does not fit the run's config.json, or is damaged ({one_line(error)[:200]})"
            ) from error
        return found[_STATE], found[_RECORD]


def _check_shapes(found: Any, like: Any) -> None:
    """Needed because Orbax compares names only."""
    for (path, array), expected in zip(jax.tree.leaves_with_path(found), jax.tree.leaves(like), strict=True):
        if np.shape(array) != np.shape(expected):
            raise ValueError(f"{jax.tree_util.keystr(path)} is {np.shape(array)}, expected {np.shape(expected)}")


@contextlib.contextmanager
def _only_errors() -> Iterator[None]:
    """Silences Orbax's warnings about its own defaults, which do not matter for reading."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
