"""What every row of the comparison is: a `Localizer`, known by its name."""

import difflib
import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from splice_jax.errors import UserError


class Undefined(UserError):
    """A row cannot say anything about this file, for the reason given: it has no score there, not a score of 0."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a localizer found in one image."""

    probability: Float32[np.ndarray, "height width"]
    """In [0, 1]; higher means more likely spliced."""

    mask: Bool[np.ndarray, "height width"]
    """The region called spliced, after the CRF where one is chosen."""

    label_probability: Float32[np.ndarray, "rows columns"] | None = None
    """In [0, 1], one per patch of the grid; None for rows without a label head."""

    def scores(self, mask: Bool[np.ndarray, "height width"]) -> dict[str, float]:
        """What can be scored beside the map, by its name, given the truth; nothing, but for rows that say otherwise."""
        return {}


class Localizer(ABC):
    """Image in, probability map out."""

    name: str
    variables: Mapping[str, Any] = {}
    """The Flax variables of a network row; empty for the others."""

    @abstractmethod
    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> Found:
        """Localizes the spliced region of one RGB image of any size.

        Raises:
          Undefined: the row's trace cannot be in such an image, or needs the file that it came from.
        """

    def localize_encoded(self, image: UInt8[np.ndarray, "height width 3"], encoded: bytes) -> Found:
        """As a call, where the file is at hand that the image was decoded from.

        Rows that read what decoding throws away, as JPEG coefficients, have this method of their own.

        Args:
          image: the file's pixels as `read_image` gives them: upright.
          encoded: the file's bytes.

        Raises:
          Undefined: the row's trace cannot be in such a file.
        """
        return self(image)


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
"""Rows that need no run, by the module of this folder that registers them; it is imported when a row is asked for."""


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
        importlib.import_module(f"splice_jax.localizers.{HOMES[name]}")
    if name not in _factories:
        raise UserError(_unknown(name))
    return _factories[name](**options)


def _unknown(name: str) -> str:
    from splice_jax.localizers.family import HOMES as TRAINED  # Which needs this module, and far more than it does.

    if name in TRAINED:
        return f"method {name!r} is a trained row: name its run, --workdir=DIR or splice_jax.load(DIR)"
    nearest = difflib.get_close_matches(name, names(), n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"choose from {', '.join(names())}"
    return f"method {name!r} is not known: {hint}"
