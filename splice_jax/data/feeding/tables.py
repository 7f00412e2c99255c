"""Training data as columns on disk, memory-mapped: what all tables have in common.

A table is a folder of .npy files that is made once, beside its place, and renamed: one that exists is whole.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from splice_jax.errors import UserError
from splice_jax.files import replacing, sweep
from splice_jax.runtime import user_cache


def table_folder(kind: str, made_from: str) -> Path:
    """Where a table belongs, in the user's cache.

    Args:
        kind: the folder of tables of one kind.
        made_from: a text that changes with whatever the table's content depends on.
    """
    return user_cache() / kind / hashlib.sha256(made_from.encode()).hexdigest()[:16]


def make_once(folder: Path, write: Callable[[Path], None]) -> None:
    """Has a table written, unless it is there already.

    Of several processes that make the same table, the first to finish gives it to all. Half tables that killed
    processes left beside it are removed: each may be as large as the training data.

    Args:
        folder: where the table belongs; its name should say what it was made from.
        write: is called with a folder that is not there yet.
    """
    sweep(folder.parent)
    if not folder.exists():
        try:
            with replacing(folder) as unfinished:
                write(unfinished)
        except UserError:
            if not folder.exists():  # otherwise another process was faster
                raise


def open_columns(folder: Path, columns: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The columns of a table, mapped."""
    return {column: np.load(folder / f"{column}.npy", mmap_mode="r") for column in columns}


def wrap(raw: Path, shape: tuple[int, ...], dtype: Any = np.uint8) -> None:
    """Turns a file of numbers into a .npy file, in pieces: how many there are is known only at the end."""
    target = np.lib.format.open_memmap(raw.with_suffix(".npy"), "w+", dtype, shape)
    if target.size:
        source = np.memmap(raw, dtype, "r", shape=shape)
        rows = max(1, 2**26 // (source[0].nbytes or 1))
        for start in range(0, shape[0], rows):
            target[start : start + rows] = source[start : start + rows]
        del source
    target.flush()
    raw.unlink()
