"""PyTorch's checkpoint files. Only tensors and plain values are read from them, so that no file can run code."""

import contextlib
import pickletools
import re
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

from splice_jax.errors import UserError, one_line, printable
from splice_jax.files import replacing

SAFE_VERSION = (2, 10)
"""In earlier versions, files can run code nevertheless: CVE-2025-32434 (until 2.6), CVE-2026-24747 (until 2.10)."""

_LONGEST_NAME = 20_000
"""Characters of a name or text within a file."""
_ADVICE = re.compile(r".*(WeightsUnpickler error:|from a trusted source\.) | Check the documentation.*")
"""Advice to PyTorch's own users that surrounds the reason in its messages."""


def import_torch() -> Any:
    """PyTorch.

    Raises:
        UserError: it is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise UserError("PyTorch's files need PyTorch; install the extra: pip install 'splice_jax[torch]'") from error
    return torch


def read_pickled(path: Path) -> Any:
    """A file's content, with tensors in host memory; in PyTorch's zip format or that of versions below 1.6.

    Raises:
        UserError: PyTorch is not installed or too old to be safe, or the file is missing, damaged or holds more than
            tensors and plain values.
    """
    torch = import_torch()
    if not path.is_file():
        raise UserError(f"{path}: no such file; name a checkpoint that PyTorch saved")
    if tuple(map(int, torch.__version__.split(".")[:2])) < SAFE_VERSION:
        needed = ".".join(map(str, SAFE_VERSION))
        raise UserError(f"{path}: PyTorch {torch.__version__} does not load files safely; upgrade to {needed} or later")
    try:
        _refuse_endless_names(path)
        with warnings.catch_warnings(action="ignore"):  # PyTorch's warnings about its older formats
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickler, archive reader and tensor reader each have their own
        reason = _first_sentence(_ADVICE.sub("", one_line(error)))
        raise UserError(
            f"{path}: refused, for it is damaged or holds more than tensors and plain values ({printable(reason)})"
        ) from error


def _refuse_endless_names(path: Path) -> None:
    """Raises an error for a name so long that PyTorch, which searches its own message for it, would take minutes."""
    with contextlib.ExitStack() as opened:
        file: IO[bytes] = opened.enter_context(open(path, "rb"))
        if zipfile.is_zipfile(path):
            archive = opened.enter_context(zipfile.ZipFile(file))
            pickled = [opened.enter_context(archive.open(name)) for name in archive.namelist() if name.endswith(".pkl")]
        else:  # Versions below 1.6 write number, version, system, content and the tensors' keys one after another.
            pickled = 5 * [file]
        for each in pickled:
            try:
                for _, argument, _ in pickletools.genops(each):
                    if isinstance(argument, str) and len(argument) > _LONGEST_NAME:
                        raise _EndlessNameError(f"a name of {len(argument):,} characters")
            except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:  # PyTorch tells what it is.
                if "no newline" in str(error):  # To PyTorch, all the rest of the file is the name.
                    raise _EndlessNameError("a name without an end") from error


class _EndlessNameError(Exception):
    """See `_refuse_endless_names`."""


def write_pickled(content: Any, path: Path) -> None:
    """Writes tensors and plain values in the format that every version of PyTorch can read.

    Raises:
        UserError: PyTorch is not installed, or the file cannot be written.
    """
    torch = import_torch()
    with replacing(path) as unfinished:
        torch.save(content, unfinished, _use_new_zipfile_serialization=False)


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".")[:200]
