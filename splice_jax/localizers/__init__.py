"""The former name of `splice_jax.methods`: provides the same objects with a warning; to be removed in version 0.3."""

import warnings
from typing import Any

from splice_jax import methods

__all__ = ("Found", "Localizer", "Undefined", "localizer", "names", "register")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    text = f"splice_jax.localizers.{name} is splice_jax.methods.{name} now; the old name goes with version 0.3"
    warnings.warn(text, DeprecationWarning, stacklevel=2)
    return getattr(methods, name)
