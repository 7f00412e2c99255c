"""What is known of one field of a configuration: its default, its meaning, its range, and what depends on it.

A trained method declares the fields that only it reads; `splice_jax.runs.schema` collects them with all others.
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
    """One field; `section.name` with a dot where it stands in a section."""

    name: str
    default: Any
    role: Role
    """What it is about: which images and how they are cut; what is computed; what is learnt; how; what is scored of it
    and how; where and how visibly it runs."""
    meaning: str
    choices: tuple[Any, ...] = ()
    """All values that it may have; empty where it is a number from `least` to `most`, or free."""
    least: float = -math.inf
    most: float = math.inf
    changes_map: bool = False
    """Whether the same weights make another map under another value."""
    changes_score: bool = True
    """Whether two evaluations that differ in it alone may score a row differently; seeds aside, which are meant to."""
    extendable: bool = False
    """Whether training may go on under another value, as for longer."""
    evaluated: bool = False
    """Whether evaluations read it as well, for something of their own."""
    applies: Callable[[Mapping[str, Any]], bool] = _always
    """Whether a configuration's network looks at it at all."""

    def value(self, config: Mapping[str, Any]) -> Any:
        """The field's value in a configuration."""
        for part in self.name.split("."):
            config = config[part]
        return config

    def check(self, config: Mapping[str, Any]) -> None:
        """Makes sure that a configuration's value is one the field may have.

        Raises:
            UserError: it is none of the choices, or out of range.
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
