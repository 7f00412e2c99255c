"""A run's checkpoints, written by Orbax: WORKDIR/checkpoints/last to resume from, WORKDIR/checkpoints/best to use.

A checkpoint appears under its step number once it is complete. Two of each kind are kept, and each holds a checksum of
its arrays and its record: where the newest is damaged, the one before it is used, and a line says so.
"""

import contextlib
import json
import os
import re
import shutil
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging

from splice_jax import hosts
from splice_jax.errors import UserError, one_line

LAST, BEST = "last", "best"
KEPT = 2
_STATE, _RECORD = "state", "record"
_CHECKSUM = "checksum"
_UNREADABLE = (ValueError, KeyError, OSError)
"""What Orbax raises where a checkpoint is damaged, or has other arrays than are asked for."""
_MALFORMED = (*_UNREADABLE, TypeError, AttributeError)
"""The same, and what it raises where its own notes hold values of other types than it takes for granted."""


class Checkpoints:
    """Keeps the newest checkpoints of one kind."""

    def __init__(self, workdir: Path, kind: str, *, read_only: bool = False) -> None:
        """Creates missing folders and removes what a killed process left unfinished, unless `read_only`.

        Args:
            workdir: the run's folder.
            kind: `LAST` or `BEST`.
            read_only: whether nothing is to be saved.
        """
        self._directory, self._read_only = workdir.absolute() / "checkpoints" / kind, read_only
        if not read_only:
            self._remove_unfinished()
        try:
            with _quiet(logging.FATAL):  # Neither its own defaults nor notes that it cannot parse matter.
                options = ocp.CheckpointManagerOptions(
                    max_to_keep=KEPT,
                    enable_async_checkpointing=False,
                    read_only=read_only,
                )
                self._manager = ocp.CheckpointManager(self._directory, options=options)
        except (ValueError, TypeError, AttributeError) as error:  # Notes that it can parse, but say what cannot be.
            raise UserError(
                f"{self._directory}: a checkpoint there is damaged ({one_line(error)[:200]}); remove the newest folder "
                "there and repeat the command"
            ) from error

    @property
    def step(self) -> int | None:
        """The newest checkpoint's step; None if there is no checkpoint."""
        return self._manager.latest_step()

    def save(self, step: int, tree: Any, record: Mapping[str, Any]) -> None:
        """Writes the arrays of `tree` and the JSON object `record`; does nothing if this step is already saved.

        Raises:
            UserError: it cannot be written; the checkpoints before it are still there, unless their folder is gone.
        """
        if step in self._manager.all_steps():  # written just before the run was killed
            return
        content = {**record, _CHECKSUM: _checksum(tree, record)}
        arguments = {_STATE: ocp.args.StandardSave(tree), _RECORD: ocp.args.JsonSave(content)}
        if not self._directory.is_dir():  # Orbax would make another, without the run's configuration.
            raise UserError(f"{self._directory}: was there when the run started; put it back, or train anew")
        try:
            with _quiet(logging.FATAL):  # The error is told below, without a traceback.
                self._manager.save(step, args=ocp.args.Composite(**arguments))
        except _UNREADABLE as error:
            self._remove_unfinished()
            raise UserError(
                f"{self._directory}: cannot write the checkpoint of step {step} ({_reason(error)}); free or mend the "
                f"disk and repeat the command, {self._stands()}"
            ) from error

    def restore(self, like: Any) -> tuple[Any, dict[str, Any]]:
        """The newest good checkpoint's arrays, with the structure of `like` and in host memory, and its record.

        Damaged checkpoints newer than that are named and, unless this is read-only, removed: their steps come again.

        Raises:
            UserError: there is no checkpoint, or no one is whole and has arrays like `like`.
        """
        _ignore_late_answers()
        bad: dict[int, Exception] = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                found = self._read(step, like)
            except _MALFORMED as error:
                bad[step] = error
                continue
            self._tell_damaged(bad, step)
            return found
        if not bad:
            raise UserError(f"{self._directory}: holds no checkpoint; train the run with splice-jax train first")
        error = next(iter(bad.values()))
        raise UserError(
            f"{self._directory}: does not fit the run's config.json, or is damaged ({one_line(error)[:200]})"
        ) from error

    def _read(self, step: int, like: Any) -> tuple[Any, dict[str, Any]]:
        shapes = jax.tree.map(lambda leaf: np.empty(np.shape(leaf), leaf.dtype), like)
        arguments = {_STATE: ocp.args.StandardRestore(shapes), _RECORD: ocp.args.JsonRestore()}
        with _quiet(logging.FATAL):
            found = self._manager.restore(step, args=ocp.args.Composite(**arguments))
        tree, record = found[_STATE], found[_RECORD]
        if not isinstance(record, dict):
            raise ValueError("its record is no object")
        _check_shapes(tree, like)
        checksum = record.pop(_CHECKSUM, None)  # Version 0.1 wrote none.
        if checksum is not None and checksum != _checksum(tree, record):
            raise ValueError("it is not what was written")
        return tree, record

    def _tell_damaged(self, bad: Mapping[int, Exception], used: int) -> None:
        for step, error in bad.items():
            why = one_line(error)[:150]
            print(f"{self._directory / str(step)}: damaged ({why}); step {used} is used instead", file=sys.stderr)
            if not self._read_only:
                self._manager.delete(step)

    def _remove_unfinished(self) -> None:
        """Orbax leaves it where it is, or removes it at some later time."""
        for path in self._directory.glob(f"*{ocp.utils.TMP_DIR_SUFFIX}*") if hosts.is_first() else ():
            shutil.rmtree(path, ignore_errors=True)

    def _stands(self) -> str:
        steps = [int(path.name) for path in self._directory.glob("*") if path.name.isdecimal()]
        return f"it goes on after step {max(steps)}" if steps else "it starts anew"


def _checksum(tree: Any, record: Mapping[str, Any]) -> int:
    """CRC-32 of the record and, in order, of all arrays."""
    checksum = zlib.crc32(json.dumps(record, sort_keys=True).encode())
    for leaf in jax.tree.leaves(tree):
        checksum = zlib.crc32(np.ascontiguousarray(leaf).reshape(-1).view(np.uint8).data, checksum)
    return checksum


def _check_shapes(found: Any, like: Any) -> None:
    """Needed because Orbax compares names only."""
    for (path, array), expected in zip(jax.tree.leaves_with_path(found), jax.tree.leaves(like), strict=True):
        if np.shape(array) != np.shape(expected):
            raise ValueError(f"{jax.tree_util.keystr(path)} is {np.shape(array)}, expected {np.shape(expected)}")


def _reason(error: Exception) -> str:
    """The system's word for what went wrong, which TensorStore puts at the end of a long message."""
    code = re.search(r"os_error_code='(\d+)'", str(error))
    number = int(code[1]) if code else getattr(error, "errno", None)
    return os.strerror(number).lower() if number else one_line(error)[:200]


class _LateAnswersIgnored:
    """An `unraisablehook`: where one array cannot be read, TensorStore answers for others when nobody listens."""

    def __init__(self, show: Callable[[Any], object]) -> None:
        self._show = show

    def __call__(self, raised: Any) -> None:
        if not (raised.exc_type is RuntimeError and str(raised.exc_value) == "Event loop is closed"):
            self._show(raised)


def _ignore_late_answers() -> None:
    """From now on: they may come at any time."""
    if not isinstance(sys.unraisablehook, _LateAnswersIgnored):
        sys.unraisablehook = _LateAnswersIgnored(sys.unraisablehook)


@contextlib.contextmanager
def _quiet(level: int) -> Iterator[None]:
    """Only lets messages of this level or worse through, where Orbax reports every file."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(level)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
