"""Training data as memory-mapped columns on disk: what all tables have in common.

A table is a folder of .npy files, made once under a temporary name and then renamed, so one that exists is complete.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from splice_jax.errors import UserError
from splice_jax.files import alone, replacing, sweep, writable_folder
from splice_jax.runtime import user_cache


def table_folder(kind: str, made_from: str) -> Path:
    """Where a table goes in the user's cache.

    Args:
        kind: the folder for tables of one kind.
        made_from: a text that changes with everything the table's content depends on.
    """
    return user_cache() / kind / hashlib.sha256(made_from.encode()).hexdigest()[:16]


def make_once(folder: Path, write: Callable[[Path], None]) -> None:
    """Writes a table unless it already exists; of several processes on one machine, one writes and the others wait.

    If several machines make the same table in one folder, all use the one that is finished first. Partial tables left
    behind by killed processes are removed: each may be as large as the training data.

    Args:
        folder: where the table goes; its name should identify what it is made from.
        write: called with a folder that does not exist yet.
    """
    sweep(writable_folder(folder.parent))
    with alone(folder):
        if not folder.exists():
            try:
                with replacing(folder) as unfinished:
                    write(unfinished)
            except UserError:
                if not folder.exists():  # otherwise another machine was faster
                    raise


def open_columns(folder: Path, columns: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The memory-mapped columns of a table."""
    return {column: np.load(folder / f"{column}.npy", mmap_mode="r") for column in columns}


def wrap(raw: Path, shape: tuple[int, ...], dtype: Any = np.uint8) -> None:
    """Turns a file of raw numbers, whose shape is known only at the end, into a .npy file, piece by piece."""
    target = np.lib.format.open_memmap(raw.with_suffix(".npy"), "w+", dtype, shape)
    if target.size:
        source = np.memmap(raw, dtype, "r", shape=shape)
        rows = max(1, 2**26 // (source[0].nbytes or 1))
        for start in range(0, shape[0], rows):
            target[start : start + rows] = source[start : start + rows]
        del source
    target.flush()
    raw.unlink()
