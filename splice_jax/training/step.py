"""One training step, mapped over devices. Nothing outside this module uses `jax.pmap`.

`train_step` is a pure function of (state, batch, resident). JAX turns pmap into jit(shard_map), so it costs no speed.
"""

import collections
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from splice_jax.methods.family import Loss
from splice_jax.training.optimizer import is_frozen

AXIS = "devices"
_SETTLING = 50
"""Steps after which half of an average's decay holds."""
Scalars = dict[str, Array]


@flax.struct.dataclass
class State:
    """Everything needed to resume a run. `key` never changes: each step folds its own number into it."""

    step: Array
    params: Any
    batch_stats: Any
    optimizer_state: Any
    key: Array

    @property
    def variables(self) -> dict[str, Any]:
        """The Flax variables to localize with."""
        return {"params": self.params} | ({"batch_stats": self.batch_stats} if self.batch_stats else {})


@flax.struct.dataclass
class AveragedState(State):
    """A state that also keeps an exponential moving average of the parameters, which localizes in their place.

    A class of its own, so that checkpoints of runs without an average stay as they were.
    """

    average: Any

    @property
    def variables(self) -> dict[str, Any]:
        """The Flax variables to localize with: the averaged parameters."""
        return super().variables | {"params": self.average}


def initial_state(
    variables: dict[str, Any], optimizer: optax.GradientTransformation, seed: int, *, averaged: bool = False
) -> State:
    """The state before the first step; `averaged`: whether an average of the parameters is kept."""
    params = variables["params"]
    parts: dict[str, Any] = {
        "step": jnp.zeros((), jnp.int32),
        "params": params,
        "batch_stats": variables.get("batch_stats", {}),
        "optimizer_state": optimizer.init(params),
        "key": jax.random.PRNGKey(seed),
    }
    return AveragedState(**parts, average=jax.tree.map(jnp.array, params)) if averaged else State(**parts)


class StepSpec(NamedTuple):
    """The parts of a step; all static."""

    loss: Loss
    optimizer: optax.GradientTransformation
    frozen: frozenset[str] = frozenset()
    """Top-level modules of `params` that a step leaves unchanged, bit for bit."""
    ema_decay: float = 0.0
    """Of the average in an `AveragedState`; smaller in the first steps, so that the start is soon forgotten."""


def train_step(
    state: State, batch: dict[str, Array], resident: Mapping[str, Any], *, spec: StepSpec
) -> tuple[State, Scalars]:
    """A gradient step on one device's share of the batch; gradients and scalars are averaged over `AXIS`.

    Random numbers do not depend on the number of devices: every device gets the same key, into which the loss folds an
    example's position in the whole batch (`augmentation.example_keys`).
    """
    batch = {**resident, **batch}
    key = jax.random.fold_in(state.key, state.step)

    def loss_fn(params: Any) -> tuple[Array, tuple[Any, Scalars]]:
        return spec.loss({"params": params, "batch_stats": state.batch_stats}, batch, key, AXIS)

    frozen = is_frozen(state.params, spec.frozen)
    gradients, (batch_stats, scalars) = jax.grad(loss_fn, has_aux=True)(state.params)
    gradients, scalars = jax.lax.pmean((gradients, scalars), AXIS)
    updates, optimizer_state = spec.optimizer.update(gradients, state.optimizer_state, state.params)
    params = optax.apply_updates(state.params, updates)
    # Frozen parameters must not change by a single bit: adding an update of zero would turn -0 into 0.
    params = jax.tree.map(lambda keep, old, new: old if keep else new, frozen, state.params, params)
    scalars |= {
        "norm/gradient": optax.tree.norm(gradients),
        "norm/parameter": optax.tree.norm(params),
        "norm/update": optax.tree.norm(updates),
    }
    new = dataclasses.replace(
        state, step=state.step + 1, params=params, batch_stats=batch_stats, optimizer_state=optimizer_state
    )
    if isinstance(new, AveragedState):
        decay = jnp.minimum(spec.ema_decay, state.step / (state.step + _SETTLING))
        average = jax.tree.map(lambda old, now: decay * old + (1 - decay) * now, new.average, params)
        new = dataclasses.replace(new, average=average)
    return new, scalars


class ParallelStep:
    """`train_step` on the devices of all processes: plain arrays in, plain arrays out.

    It returns before the step is done, but not before the step `AHEAD` steps earlier is. From 32 unfinished programs
    on, a CPU device takes no more; if another device then waits for it within one of these, both wait for ever.
    """

    AHEAD = 8

    def __init__(
        self,
        spec: StepSpec,
        resident: Mapping[str, Any] = MappingProxyType({}),
        devices: Sequence[jax.Device] | None = None,
    ) -> None:
        """Copies the resident arrays to every device.

        Args:
            spec: the parts of a step.
            resident: see `family.Training`.
            devices: devices of this process, None for all of them. With several processes, each uses all of its own.
        """
        self._devices = list(devices or jax.local_devices())
        mesh = jax.sharding.Mesh(self._devices, (AXIS,))
        self._one_each = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(AXIS))
        self._resident = jax.tree.map(self._copies, dict(resident))
        step = functools.partial(train_step, spec=spec)
        self._step: Any = jax.pmap(step, AXIS, devices=devices, donate_argnums=(0,))
        self._under_way: collections.deque[Scalars] = collections.deque()

    @property
    def devices(self) -> int:
        """Number of devices in this process."""
        return len(self._devices)

    @property
    def total(self) -> int:
        """Number of devices over all processes; a batch is spread across them."""
        return self.devices * jax.process_count()

    def replicate(self, state: State) -> State:
        """A copy of the state on every device."""
        stacked = jax.tree.map(lambda leaf: np.stack([leaf] * self.devices), state)
        return jax.device_put(stacked, self._one_each)

    def _copies(self, array: np.ndarray) -> Array:
        """Copies the host's array to each device; unlike `replicate`, it stacks nothing in host memory."""
        copies = [jax.device_put(array[None], device) for device in self._devices]
        return jax.make_array_from_single_device_arrays((self.devices, *array.shape), self._one_each, copies)

    def unreplicate(self, state: State) -> State:
        """The first device's state, copied to host memory because the next step overwrites it on the device."""
        return jax.tree.map(lambda leaf: np.array(leaf.addressable_data(0))[0, ...], state)

    def shard(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Splits every column of a batch into equal shares, in order."""
        shares = self.devices
        return {name: each.reshape(shares, len(each) // shares, *each.shape[1:]) for name, each in batch.items()}

    def __call__(self, state: State, batch: dict[str, np.ndarray]) -> tuple[State, Scalars]:
        """One step; the scalars are the first device's, as one-element arrays not yet fetched."""
        state, scalars = self._step(state, self.shard(batch), self._resident)
        # `value[0]` would run a program on all devices, which takes longer than a small step.
        found = {name: value.addressable_data(0) for name, value in scalars.items()}
        self._under_way.append(found)
        if len(self._under_way) > self.AHEAD:
            jax.block_until_ready(self._under_way.popleft())
        return state, found

    def program(self, state: State, batch: dict[str, np.ndarray]) -> str:
        """The step's program after XLA's optimizations, for profiling."""
        return str(self._step.lower(state, self.shard(batch), self._resident).compile().as_text())


class Vote:
    """Whether any process was asked to stop: all hear it at the same step, a few steps later.

    Several processes ask each other by a sum over their devices, which is fetched later, so that no step waits for it.
    """

    LATER = 2

    def __init__(self) -> None:
        self._sum: Any = jax.pmap(lambda asked: jax.lax.psum(asked, AXIS), AXIS)
        self._cast: collections.deque[Array] = collections.deque()

    def __call__(self, asked: bool) -> bool:
        """To be called at every step, by every process."""
        if jax.process_count() == 1:
            return asked
        self._cast.append(self._sum(np.full(jax.local_device_count(), asked, np.int32)))
        if len(self._cast) <= self.LATER:
            return False
        return bool(np.asarray(self._cast.popleft().addressable_data(0))[0])
