"""A configuration field: its default, its meaning, its range, and what depends on it.

A trained method declares the fields that only it reads; `splice_jax.runs.schema` collects these and all others.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from splice_jax.errors import UserError

Role = Literal["data", "network", "loss", "optimisation", "evaluation", "machine"]


def _always(config: Mapping[str, Any]) -> bool:
    return True


@dataclass(frozen=True)
class Field:
    """One field."""

    name: str
    """With dots if it is in a section: `section.name`."""
    default: Any
    role: Role
    """What it is about, in the order of `Role`: which images and how they are cut; what is computed; what is minimized;
    how it is trained; what is scored, and how; where it runs, and how often it reports and saves."""
    meaning: str
    choices: tuple[Any, ...] = ()
    """All allowed values; empty if it is a number from `least` to `most`, or unrestricted."""
    least: float = -math.inf
    most: float = math.inf
    changes_map: bool = False
    """Whether changing it changes the map that the same weights produce."""
    changes_score: bool = True
    """Whether it alone can make two evaluations score a row differently; False for seeds, which are meant to."""
    extendable: bool = False
    """Whether it may change when a run is resumed, for example to train longer."""
    evaluated: bool = False
    """Whether evaluations also read it, for a purpose of their own."""
    applies: Callable[[Mapping[str, Any]], bool] = _always
    """Whether a configuration's network uses it at all."""

    def value(self, config: Mapping[str, Any]) -> Any:
        """The field's value in a configuration."""
        for part in self.name.split("."):
            config = config[part]
        return config

    def check(self, config: Mapping[str, Any]) -> None:
        """Checks that a configuration gives the field an allowed value.

        Raises:
            UserError: the value is not one of the choices, or is out of range.
        """
        value = self.value(config)
        if self.choices and value not in self.choices:
            raise UserError(f"config.{self.name}: {value!r} is none of {', '.join(map(str, self.choices))}")
        if isinstance(value, (int, float)) and not self.least <= value <= self.most:
            raise UserError(f"config.{self.name}: {value} is {self._outside}")

    @property
    def _outside(self) -> str:
        if math.isinf(self.most):
            return f"less than {self.least}"
        return f"not from {self.least} to {self.most}"


def check(config: Mapping[str, Any], fields: Sequence[Field]) -> None:
    """Checks every field of a configuration.

    Raises:
        UserError: as `Field.check`.
    """
    for field in fields:
        field.check(config)
