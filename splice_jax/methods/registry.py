"""All methods by name, trained or not.

Whatever can be known about a method without computing anything (its version, its fields, its note) needs no JAX.
"""

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from splice_jax.errors import UserError
from splice_jax.methods.family import Family
from splice_jax.methods.localizer import Localizer

TRIVIAL = ("all_spliced", "random")
"""Methods that ignore the image's content."""

PACKAGED = ("sgt",)
"""Trained methods of which a trained model comes with the package."""

_HOMES = {
    **dict.fromkeys(TRIVIAL, "trivial"),
    **dict.fromkeys(("noi1", "noi2", "noi4"), "traces.noise"),
    **dict.fromkeys(("cfa1", "cfa2"), "traces.cfa"),
    **dict.fromkeys(("adq1", "adq2"), "traces.double_jpeg"),
    "nadq": "traces.shifted_jpeg",
    **dict.fromkeys(("blk", "dct"), "traces.jpeg_grid"),
    **dict.fromkeys(("ela", "ghost"), "traces.recompression"),
    **dict.fromkeys(("sgn", "bappy"), "trained.semi_global.method"),
    **dict.fromkeys(("sfcn", "mfcn", "mfcn_edge"), "trained.mfcn.method"),
    "camera_response": "trained.camera_response.method",
    "sgt": "trained.semi_global_traces.method",
}
"""Every method and the module in this folder that registers it, imported when the method is first asked for."""


@dataclass(frozen=True)
class Method:
    """What is known about a method before it computes anything."""

    name: str
    make: Callable[..., Localizer] | None
    """Makes its localizer; None for a trained method, whose localizer comes from a run."""
    family: Family | None
    """Defines a trained method; None for the others."""
    version: int = 1
    """Raise it when the method's maps change, so that old cached maps are not reused."""


Factory = TypeVar("Factory", bound=Callable[..., Localizer])
_known: dict[str, Method] = {}


def register(name: str, *, version: int = 1) -> Callable[[Factory], Factory]:
    """Decorator for a class or function that `localizer(name, **options)` will call with the options."""

    def add(factory: Factory) -> Factory:
        _enter(Method(name, factory, None, version))
        return factory

    return add


def register_trained(name: str, family: Family, *, version: int = 1) -> None:
    """Makes `name` a value of `config.method`."""
    _enter(Method(name, None, family, version))


def _enter(method: Method) -> None:
    if method.name in _known:
        raise ValueError(f"a method named {method.name!r} is already registered")
    _known[method.name] = method


def method(name: str) -> Method:
    """What is known about a method.

    Raises:
      UserError: no method has this name.
    """
    if name not in _known and name in _HOMES:
        importlib.import_module(f"splice_jax.methods.{_HOMES[name]}")
    if name not in _known:
        raise UserError(_unknown(name, [*_HOMES, *_known]))
    return _known[name]


def names() -> list[str]:
    """Names of all methods that need no trained run, sorted."""
    return sorted(name for name in {*_HOMES, *_known} if not is_trained(name) or name in PACKAGED)


def hand_crafted() -> list[str]:
    """Names of all methods that measure a trace without training."""
    return [name for name in {**_HOMES, **dict.fromkeys(_known)} if not is_trained(name) and name not in TRIVIAL]


def trained_names() -> list[str]:
    """Names of all trained methods: the allowed values of `config.method`."""
    return [name for name in {**_HOMES, **dict.fromkeys(_known)} if is_trained(name)]


def is_trained(name: str) -> bool:
    """Whether the method of this name is a trained one; does not load the method."""
    return _known[name].family is not None if name in _known else _HOMES.get(name, "").startswith("trained.")


def localizer(name: str, **options: Any) -> Localizer:
    """The localizer of a method that needs no run.

    Raises:
      UserError: the name is not that of such a method.
    """
    if name in PACKAGED:
        return family(name).packaged(**options)
    if is_trained(name):
        raise UserError(f"method {name!r} is trained: name its run, --workdir=DIR or splice_jax.load(DIR)")
    if name not in names():
        raise UserError(_unknown(name, names()))
    make = method(name).make
    assert make is not None  # It is not trained.
    return make(**options)


def family(name: str) -> Family:
    """The family of a trained method.

    Raises:
      UserError: no trained method has this name.
    """
    if not is_trained(name):
        raise UserError(f"config.method: {name!r} is none of {', '.join(trained_names())}")
    found = method(name).family
    assert found is not None  # It is trained.
    return found


def _unknown(name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"choose from {', '.join(known)}"
    return f"method {name!r} is not known: {hint}"
