"""Writing files so that a reader sees the old one or the new one, never half of one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from splice_jax.errors import UserError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Gives a path beside `path` to write to; it takes the place of `path` on success and is removed on failure.

    The temporary name keeps the suffix and is unique to the process. Missing parent folders are made. It may be
    written as a folder, which can then only take the place of nothing or of an empty folder.

    Raises:
      UserError: the folder of `path` cannot be made or written to, or `path` cannot be replaced.
    """
    path = Path(path)
    beside = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    writable_folder(path.parent)
    try:
        yield beside
        os.replace(beside, path)
    except OSError as error:
        raise UserError(
            f"{path.parent}: cannot write {path.name} there ({_reason(error)}); choose another folder or free this one"
        ) from error
    finally:
        _remove(beside)


def writable_folder(folder: str | Path) -> Path:
    """Makes `folder` where it is missing.

    Raises:
      UserError: it cannot be made, is no folder or cannot be written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(None, "permission denied")
    except OSError as error:
        raise UserError(f"{folder}: no folder that can be written to ({_reason(error)}); choose another") from error
    return folder


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    elif path.exists():
        path.unlink()
