"""What every row of the comparison is: a `Localizer`, known by its name."""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from splice_jax.errors import UserError


@dataclass(frozen=True, eq=False)
class Found:
    """What a localizer found in one image."""

    probability: Float32[np.ndarray, "height width"]
    """In [0, 1]; higher means more likely spliced."""

    mask: Bool[np.ndarray, "height width"]
    """The region called spliced, after the CRF where one is chosen."""

    label_probability: Float32[np.ndarray, "rows columns"] | None = None
    """In [0, 1], one per patch of the grid; None for rows without a label head."""


class Localizer(ABC):
    """Image in, probability map out."""

    name: str
    variables: Mapping[str, Any] = {}
    """The Flax variables of a network row; empty for the others."""

    @abstractmethod
    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> Found:
        """Localizes the spliced region of one RGB image of any size."""


Factory = Callable[..., Localizer]
F = TypeVar("F", bound=Factory)
_factories: dict[str, Factory] = {}


def register(name: str) -> Callable[[F], F]:
    """Class or function decorator: `localizer(name, **options)` will call it with the options."""

    def add(factory: F) -> F:
        if name in _factories:
            raise ValueError(f"a localizer named {name!r} is already registered")
        _factories[name] = factory
        return factory

    return add


def names() -> list[str]:
    """The names of all registered localizers, sorted."""
    return sorted(_factories)


def localizer(name: str, **options: Any) -> Localizer:
    """The localizer of a row of the comparison.

    Raises:
      UserError: no row has this name.
    """
    if name not in _factories:
        nearest = difflib.get_close_matches(name, _factories, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"choose from {', '.join(names())}"
        raise UserError(f"method {name!r} is not known: {hint}")
    return _factories[name](**options)
