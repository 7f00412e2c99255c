"""What a trained row is made of, in one object that its `method` finds: network, data, loss and localizer.

Training, loading and evaluation know a trained row through its `Family` only; so a new one is a model, a loss, a module
of this folder with a localizer and a `FAMILY`, a line in `HOMES`, and a configuration. The loop trains whatever
`Training` it is handed: batches that are dictionaries of arrays with equally long columns, and a loss that is a pure
function of (variables, batch, key).
"""

import functools
import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from splice_jax.data import Split
from splice_jax.errors import UserError
from splice_jax.methods.localizer import Localizer

if TYPE_CHECKING:  # A re-scoring asks for the names of rows and has no use for JAX.
    import flax.linen as nn
    from jax import Array
    from ml_collections import ConfigDict

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
    """The rows that one network, differently configured, becomes."""

    unit: str
    """What a batch consists of, in the plural; speed is given in it."""

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

    def with_weights(self, variables: Variables, config: "ConfigDict") -> Variables:
        """The variables with weights from the files that the configuration names; the same where it names none.

        Raises:
            UserError: no such weights.
        """
        return variables

    @abstractmethod
    def training(self, config: "ConfigDict", network: Any, variables: Variables, examples: Split) -> Training:
        """What the network learns from, made of the training split.

        Raises:
            UserError: a batch size that cannot be, or what reading the examples raises.
        """

    @abstractmethod
    def localizer(
        self, config: "ConfigDict", network: Any, variables: Variables, *, row: str, refine: Refine | None = None
    ) -> Localizer:
        """A row of the family with these variables, and with a CRF where there is one."""


HOMES = {
    **dict.fromkeys(("sgn", "bappy"), "semi_global"),
    **dict.fromkeys(("sfcn", "mfcn", "mfcn_edge"), "mfcn"),
    "camera_response": "camera_response",
}
"""What `config.method` may be, by the module of this folder that has its `FAMILY`; it is imported when asked for."""

VERSIONS = {"camera_response": 2}
"""Of rows whose maps are made otherwise than they once were, so that no older map is taken for one of now."""

_TOGETHER = ({"mfcn", "mfcn_edge"},)
"""Rows that are the same network, differently read."""


def family(method: str) -> Family:
    """The family of a trained row.

    Raises:
        UserError: no trained row has this name.
    """
    if method not in HOMES:
        raise UserError(f"config.method: {method!r} is none of {', '.join(HOMES)}")
    return importlib.import_module(f"splice_jax.methods.trained.{HOMES[method]}").FAMILY


def rows_of_run(method: str) -> tuple[str, ...]:
    """The rows that a run of this `config.method` holds, its own first.

    >>> rows_of_run("sgn"), rows_of_run("mfcn_edge")
    (('sgn',), ('mfcn_edge', 'mfcn'))
    """
    others = [row for rows in _TOGETHER if method in rows for row in sorted(rows - {method})]
    return (method, *others)


def sees_patches(method: str) -> bool:
    """Whether a trained row sees an image patch by patch, on a grid that an evaluation may choose."""
    return HOMES.get(method) == "semi_global"


def note(config: "ConfigDict") -> str:
    """How far the size, the trunk or the global network of a run is not the published one; "" where they are.

    To be printed behind the names of its rows; what else differs, README.md tells.

    >>> from ml_collections import ConfigDict
    >>> note(ConfigDict({"method": "mfcn", "width": 0.125, "trunk_weights": ""}))
    'width 0.125, from scratch'
    """
    if sees_patches(config.method):
        marks = {
            f"hidden {config.hidden_size}": config.hidden_size != 256,
            f"{config.num_layers} of 3 layers": config.num_layers != 3,
            f"global network {config.global_network}": config.method == "sgn" and config.global_network != "resnet18",
        }
    elif config.method == "camera_response":
        marks = {"edges to region: ours": True}  # The paper ends at the edges.
    else:
        marks = {f"width {config.width:g}": config.width != 1, "from scratch": not config.trunk_weights}
    return ", ".join(mark for mark, holds in marks.items() if holds)


def batches_of_run(config: "ConfigDict", count: int, transform: Any) -> tuple[int, Batches]:
    """As `data.streams.stream`, by the fields of a configuration, for all devices of all processes.

    Raises:
        UserError: a batch size that cannot be shared out, or is larger than the data.
    """
    import jax

    from splice_jax.data.feeding.streams import stream

    devices = jax.device_count()
    if config.batch_size % devices:
        raise UserError(f"config.batch_size: {config.batch_size} is no multiple of the number of devices, {devices}")
    try:
        return stream(
            count,
            transform,
            batch_size=config.batch_size,
            num_epochs=config.num_epochs if not config.num_steps else None,
            seed=config.seed,
            shard=jax.process_index(),
            shards=jax.process_count(),
        )
    except ValueError as error:
        raise UserError(f"config.{error}") from error
