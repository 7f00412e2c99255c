"""A training step is traced and compiled once in a test process, however many runs take it.

So are the initial variables of networks that would compile them anew each time.
All that takes far longer than the few steps of a test's run, and a run that is resumed would do it again.
"""

import functools
from collections.abc import Hashable, Mapping
from types import FunctionType, MethodType
from typing import Any

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from splice_jax.methods.family import Family
from splice_jax.training.step import ParallelStep


def share_programs(patch: pytest.MonkeyPatch) -> None:
    """Steps of equal parts on the same devices take one program from now on; variables are drawn once for each key."""
    _share_steps(patch)
    for name in ("initial_variables", "variable_shapes"):
        patch.setattr(Family, name, _once(getattr(Family, name)))


def _once(function: Any) -> Any:
    """Calls with equal arguments give what the first did, in containers of their own."""
    found: dict[Any, Any] = {}

    @functools.wraps(function)
    def shared(*arguments: Any) -> Any:
        wanted = meaning([np.asarray(jax.random.key_data(each)) if _is_key(each) else each for each in arguments])
        if wanted not in found:
            found[wanted] = function(*arguments)
        return jax.tree.map(lambda leaf: leaf, found[wanted])

    return shared


def _is_key(value: Any) -> bool:
    return isinstance(value, jax.Array) and jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key)


def _share_steps(patch: pytest.MonkeyPatch) -> None:
    programs: dict[Any, Any] = {}
    initialize = ParallelStep.__init__

    def sharing(self: ParallelStep, spec: Any, *arguments: Any, **more: Any) -> None:
        initialize(self, spec, *arguments, **more)
        self._step = programs.setdefault((meaning(spec), tuple(self._devices)), self._step)

    patch.setattr(ParallelStep, "__init__", sharing)


def meaning(value: Any) -> Any:
    """Equal for functions of the same code that see equal values; anything unknown equals only itself."""
    if isinstance(value, FunctionType):
        seen = [cell.cell_contents for cell in value.__closure__ or ()]
        return value.__code__, meaning([seen, value.__defaults__, value.__kwdefaults__])
    if isinstance(value, MethodType):
        return value.__func__, meaning(value.__self__)
    if isinstance(value, functools.partial):
        return meaning([value.func, value.args, value.keywords])
    if isinstance(value, ConfigDict):
        return value.to_json()
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, Mapping):
        return type(value), tuple((key, meaning(each)) for key, each in value.items())
    if isinstance(value, list | tuple):
        return type(value), tuple(map(meaning, value))
    return (type(value), value) if isinstance(value, Hashable) else _Itself(value)


class _Itself:
    """Keeps what cannot be hashed, so that no other object gets its place in memory."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.value is other.value
