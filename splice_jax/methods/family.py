"""What a trained method is made of, in one object: its fields, its network, its data, its loss and its localizer.

Training, loading and evaluation know a trained method through its `Family` only. A new one is a folder of `trained/`
with a `method.py` that registers it, a line in `registry.py`, and a built-in configuration. The loop trains whatever
`Training` it is handed: batches that are dictionaries of arrays with equally long columns, and a loss that is a pure
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

if TYPE_CHECKING:  # Whoever asks for names, fields or notes has no use for JAX.
    import flax.linen as nn
    from jax import Array
    from ml_collections import ConfigDict

    from splice_jax.data import Split

Variables = dict[str, Any]
Refine = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""A CRF: (image, probability) to a refined probability."""


class Loss(Protocol):
    """The loss of one device's share of a batch."""

    def __call__(
        self, variables: Variables, batch: Mapping[str, Any], key: "Array", axis_name: str | None
    ) -> tuple["Array", tuple[Any, dict[str, "Array"]]]:
        """The loss, and with it the new `batch_stats` and the scalars to log, `loss/total` among them.

        Args:
            variables: `params` and `batch_stats`.
            batch: columns of equal length, and what `Training.resident` holds.
            key: random, another one for each step, the same on all devices; what is drawn for an example is drawn from
                `augmentation.example_keys`, so that it does not depend on the number of devices.
            axis_name: the mapped axis that the batch is spread over; None where it is whole.
        """


class Batches(Protocol):
    """A stream of batches that can be taken up at any of them."""

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
    """Arrays that lie on every device from the first step to the last; to the loss, they are columns of each batch."""


class Family(ABC):
    """The methods that one network, differently configured, becomes."""

    unit: str
    """What a batch consists of, in the plural; speed is given in it."""

    fields: tuple[Field, ...]
    """The fields of a configuration that only this family reads."""

    published: Mapping[str, Any] = MappingProxyType({})
    """The values of fields that make the published network, by name; what differs is told in the `note`."""

    frozen: ClassVar[frozenset[str]] = frozenset()
    """Modules right below `params` that training leaves as they are."""

    sees_patches: ClassVar[bool] = False
    """Whether an image is seen patch by patch, on a grid that an evaluation may choose."""

    same_network: tuple[str, ...] = ()
    """Methods that are the same network, differently read: a run of one holds the others too."""

    def rows(self, method: str) -> tuple[str, ...]:
        """The methods that a run of this `config.method` holds, its own first."""
        return (method, *(other for other in self.same_network if method in self.same_network and other != method))

    def note(self, config: "ConfigDict") -> str:
        """Every difference from the published network, to be printed beside a row; "" where there is none."""
        return ", ".join(self.differences(config))

    def differences(self, config: "ConfigDict") -> list[str]:
        """The parts of `note`: each field that applies and has another than its published value."""
        return [
            f"{field.name} {_short(field.value(config))}"
            for field in self.fields
            if field.name in self.published
            and field.applies(config)
            and field.value(config) != self.published[field.name]
        ]

    def check(self, config: "ConfigDict") -> None:
        """Makes sure that there is such a network, and that images can be looked at in such a way.

        Raises:
            UserError: a field that has no such choice or is out of range.
        """
        check(config, self.fields)
        if config.orientations != 1 and not self.sees_patches:
            raise UserError(f"config.orientations: {config.orientations}, but {config.method} looks once; set 1")

    @abstractmethod
    def network(self, config: "ConfigDict") -> "nn.Module":
        """The network that a configuration describes.

        Raises:
            UserError: a field that has no such choice or is out of range.
        """

    @abstractmethod
    def initialize(self, network: Any, key: "Array") -> Variables:
        """Parameters and statistics, drawn from `key`; a function that JAX can trace."""

    def initial_variables(self, network: Any, key: "Array") -> Variables:
        """What `initialize` gives. To draw numbers fast XLA compiles for long, which once drawn is not worth it."""
        import jax

        lowered = jax.jit(functools.partial(self.initialize, network)).lower(key)
        return lowered.compile({"xla_backend_optimization_level": "0"})(key)

    def variable_shapes(self, network: Any) -> Variables:
        """The shapes of a network's variables; nothing is computed."""
        import jax

        return jax.eval_shape(functools.partial(self.initialize, network), jax.random.key(0))

    def missing_weights(self, config: "ConfigDict") -> str:
        """Why a new training would start from random weights where that makes no sense, and what to do; "" if not."""
        return ""

    def with_weights(self, variables: Variables, config: "ConfigDict") -> Variables:
        """The variables with weights from the files that the configuration names; the same where it names none.

        Raises:
            UserError: no such weights.
        """
        return variables

    @abstractmethod
    def training(self, config: "ConfigDict", network: Any, variables: Variables, examples: "Split") -> Training:
        """What the network learns from, made of the training split.

        Raises:
            UserError: a batch size that cannot be, or what reading the examples raises.
        """

    @abstractmethod
    def localizer(
        self, config: "ConfigDict", network: Any, variables: Variables, *, row: str, refine: Refine | None = None
    ) -> Localizer:
        """A method of the family with these variables, and with a CRF where there is one."""


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
