"""Everything that defines a trained method, in one object: its fields, network, data, loss and localizer.

Training, loading and evaluation know a trained method only through its `Family`. To add one, write a folder in
`trained/` with a `method.py` that registers it, a line in `registry.py`, and a built-in configuration. The loop trains
whatever `Training` it is given: batches that are dictionaries of equally long arrays, and a loss that is a pure
function of (variables, batch, key).
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np

from splice_jax.errors import UserError
from splice_jax.methods.fields import Field, check
from splice_jax.methods.localizer import Localizer

if TYPE_CHECKING:  # Names, fields and notes are available without JAX.
    import flax.linen as nn
    from jax import Array
    from ml_collections import ConfigDict

    from splice_jax.data import Split

CRF_LAYER = Field(
    "loss.crf",
    0.0,
    "loss",
    "weight of the refined map's cross entropy; above 0, the CRF is a layer: its weights and widths are trained, "
    "from those of the section crf on",
    least=0,
)
"""Of families that can train the CRF with their network."""

Variables = dict[str, Any]
Refine = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""A CRF: takes (image, probability), returns the refined probability."""


class Loss(Protocol):
    """The loss of one device's share of a batch."""

    def __call__(
        self, variables: Variables, batch: Mapping[str, Any], key: "Array", axis_name: str | None
    ) -> tuple["Array", tuple[Any, dict[str, "Array"]]]:
        """Returns the loss, the new `batch_stats`, and the scalars to log, including `loss/total`.

        Args:
            variables: `params` and `batch_stats`.
            batch: columns of equal length, and the arrays of `Training.resident`.
            key: random key, new at each step and the same on all devices; draws for an example use
                `augmentation.example_keys`, so that they do not depend on the number of devices.
            axis_name: the mapped axis that the batch is spread over; None if the batch is whole.
        """


class Batches(Protocol):
    """A stream of batches that can be resumed at any batch."""

    def __next__(self) -> dict[str, np.ndarray]: ...
    def __iter__(self) -> Iterator[dict[str, np.ndarray]]: ...
    def get_state(self) -> Any: ...
    def set_state(self, state: Any) -> None: ...


class Training(NamedTuple):
    """What a network learns from."""

    steps_per_epoch: int
    batches: Batches
    """This process's share of every batch."""
    loss: Loss
    resident: Mapping[str, Any] = MappingProxyType({})
    """Arrays kept on every device throughout training; the loss sees them as part of each batch."""


class Family(ABC):
    """The methods that share one network class, configured differently."""

    unit: str
    """What a batch consists of, in the plural; the unit in which speed is reported."""

    fields: tuple[Field, ...]
    """The configuration fields that only this family reads."""

    published: Mapping[str, Any] = MappingProxyType({})
    """The field values of the published network, by name; the `note` lists every deviation from them."""

    frozen: ClassVar[frozenset[str]] = frozenset()
    """Top-level modules of `params` that training leaves unchanged."""

    learns_authentic: ClassVar[bool] = False
    """Whether authentic images are trained on as well."""

    sees_patches: ClassVar[bool] = False
    """Whether the network sees an image patch by patch, on a grid that an evaluation may choose."""

    same_network: tuple[str, ...] = ()
    """Methods that read the same network in different ways: a run of one holds the others too."""

    def trains_crf(self, config: "ConfigDict") -> bool:
        """Whether the CRF is trained as the network's last layer."""
        return CRF_LAYER in self.fields and config.loss.crf > 0

    def rows(self, method: str) -> tuple[str, ...]:
        """The methods held by a run of this `config.method`, its own first."""
        return (method, *(other for other in self.same_network if method in self.same_network and other != method))

    def note(self, config: "ConfigDict") -> str:
        """All differences from the published network, for printing next to a row; "" if there are none."""
        return ", ".join(self.differences(config))

    def differences(self, config: "ConfigDict") -> list[str]:
        """The parts of `note`: every applicable field whose value is not the published one."""
        return [
            f"{field.name} {_short(field.value(config))}"
            for field in self.fields
            if field.name in self.published
            and field.applies(config)
            and field.value(config) != self.published[field.name]
        ]

    def check(self, config: "ConfigDict") -> None:
        """Checks that such a network exists and that images can be looked at as configured.

        Raises:
            UserError: a field's value is not one of its choices, or is out of range.
        """
        check(config, self.fields)
        if config.orientations != 1 and not self.sees_patches:
            raise UserError(f"config.orientations: {config.orientations}, but {config.method} looks once; set 1")

    @abstractmethod
    def network(self, config: "ConfigDict") -> "nn.Module":
        """The network that a configuration describes.

        Raises:
            UserError: a field's value is not one of its choices, or is out of range.
        """

    @abstractmethod
    def initialize(self, network: Any, key: "Array") -> Variables:
        """Parameters and statistics, drawn from `key`; JAX must be able to trace this function."""

    def initial_variables(self, network: Any, key: "Array") -> Variables:
        """The result of `initialize`, compiled without optimization: it runs once, so compiling fast matters more."""
        import jax

        lowered = jax.jit(functools.partial(self.initialize, network)).lower(key)
        return lowered.compile({"xla_backend_optimization_level": "0"})(key)

    def variable_shapes(self, network: Any) -> Variables:
        """The shapes of a network's variables, without computing anything."""
        import jax

        return jax.eval_shape(functools.partial(self.initialize, network), jax.random.key(0))

    def packaged(self, *, refine: Refine | None = None) -> Localizer:
        """The localizer of the trained model that comes with the package, for methods in `registry.PACKAGED`.

        Raises:
            UserError: its file is damaged.
        """
        raise NotImplementedError(f"{type(self).__name__} comes without a trained model")

    def missing_weights(self, config: "ConfigDict") -> str:
        """An error message if a new run would start from random weights where that makes no sense; otherwise ""."""
        return ""

    def with_weights(self, variables: Variables, config: "ConfigDict") -> Variables:
        """The variables with weights from the files the configuration names; unchanged if it names none.

        Raises:
            UserError: there are no such weights.
        """
        return variables

    @abstractmethod
    def training(self, config: "ConfigDict", network: Any, variables: Variables, examples: "Split") -> Training:
        """What the network learns from, made from the training split.

        Raises:
            UserError: the batch size is impossible, or an example cannot be read.
        """

    @abstractmethod
    def localizer(
        self, config: "ConfigDict", network: Any, variables: Variables, *, row: str, refine: Refine | None = None
    ) -> Localizer:
        """The localizer of one of the family's methods with these variables and, if given, a CRF."""


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
