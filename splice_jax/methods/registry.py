"""The rows of the comparison by their names."""

import difflib
import importlib
from collections.abc import Callable
from typing import Any, TypeVar

from splice_jax.errors import UserError
from splice_jax.methods.localizer import Localizer

Factory = Callable[..., Localizer]
F = TypeVar("F", bound=Factory)
_factories: dict[str, Factory] = {}

HOMES = {
    **dict.fromkeys(("noi1", "noi2", "noi4"), "noise"),
    **dict.fromkeys(("cfa1", "cfa2"), "cfa"),
    **dict.fromkeys(("adq1", "adq2"), "double_jpeg"),
    "nadq": "shifted_jpeg",
    **dict.fromkeys(("blk", "dct"), "jpeg_grid"),
    **dict.fromkeys(("ela", "ghost"), "recompression"),
}
"""Rows that need no run, by the module of `traces` that registers them; it is imported when a row is asked for."""


def register(name: str) -> Callable[[F], F]:
    """Class or function decorator: `localizer(name, **options)` will call it with the options."""

    def add(factory: F) -> F:
        if name in _factories:
            raise ValueError(f"a localizer named {name!r} is already registered")
        _factories[name] = factory
        return factory

    return add


def names() -> list[str]:
    """The names of all rows that need no trained run, sorted."""
    return sorted({*_factories, *HOMES})


def localizer(name: str, **options: Any) -> Localizer:
    """The localizer of a row of the comparison.

    Raises:
      UserError: no row that needs no run has this name.
    """
    if name in HOMES and name not in _factories:
        importlib.import_module(f"splice_jax.methods.traces.{HOMES[name]}")
    if name not in _factories:
        raise UserError(_unknown(name))
    return _factories[name](**options)


def _unknown(name: str) -> str:
    from splice_jax.methods.trained.family import (
        HOMES as TRAINED,  # Which needs this module, and far more than it does.
    )

    if name in TRAINED:
        return f"method {name!r} is a trained row: name its run, --workdir=DIR or splice_jax.load(DIR)"
    nearest = difflib.get_close_matches(name, names(), n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"choose from {', '.join(names())}"
    return f"method {name!r} is not known: {hint}"
