"""PyTorch's checkpoint files. Only tensors and plain values are read from them, so that no file can run code."""

import re
import warnings
from pathlib import Path
from typing import Any

from splice_jax.errors import UserError, one_line, printable
from splice_jax.files import replacing

SAFE_VERSION = (2, 10)
"""In earlier versions, files can run code nevertheless: CVE-2025-32434 (until 2.6), CVE-2026-24747 (until 2.10)."""

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
        with warnings.catch_warnings(action="ignore"):  # PyTorch's warnings about its older formats
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickler, archive reader and tensor reader each have their own
        reason = _first_sentence(_ADVICE.sub("", one_line(error)))
        raise UserError(
            f"{path}: refused, for it is damaged or holds more than tensors and plain values ({printable(reason)})"
        ) from error


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
