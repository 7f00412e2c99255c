"""Adam or SGD with a learning-rate schedule; frozen parameters are not updated."""

from collections.abc import Collection, Sequence
from typing import Any

import jax
import optax

OPTIMIZERS = ("adam", "adamw", "sgd")
MOMENTUM = 0.9


def is_frozen(params: Any, modules: Collection[str]) -> Any:
    """A tree of booleans with the structure of `params`: whether each parameter belongs to one of `modules`."""
    return {name: jax.tree.map(lambda _, frozen=name in modules: frozen, module) for name, module in params.items()}


def step_schedule(learning_rate: float, drops: Sequence[int], factor: float, warmup: int) -> optax.Schedule:
    """Linear warm-up over `warmup` steps, then `learning_rate`, multiplied by `factor` at each step in `drops`."""
    constant = optax.piecewise_constant_schedule(learning_rate, dict.fromkeys(drops, factor))
    if not warmup:
        return constant
    ramp = optax.linear_schedule(0.0, 1.0, warmup)
    return lambda step: constant(step) * ramp(step + 1)


def cosine_schedule(learning_rate: float, steps: int, warmup: int) -> optax.Schedule:
    """Linear warm-up over `warmup` steps, then half a cosine down to zero at `steps`."""
    if not warmup:
        return optax.cosine_decay_schedule(learning_rate, max(steps, 1))
    return optax.warmup_cosine_decay_schedule(0.0, learning_rate, warmup, max(steps, warmup + 1))


def make_optimizer(
    schedule: optax.Schedule,
    *,
    kind: str = "adam",
    weight_decay: float = 0.0,
    clip_norm: float = 0.0,
    frozen: Collection[str] = (),
) -> optax.GradientTransformation:
    """Adam or SGD for the trained parameters; frozen ones have no moments and get zero updates.

    Args:
        schedule: learning rate by step.
        kind: `adam` (betas 0.9 and 0.999), `adamw`, or `sgd` with momentum 0.9.
        weight_decay: multiple of each kernel that is added to its gradient, as in PyTorch and Caffe, or with `adamw` to
            its update; biases and normalisations' scales do not decay.
        clip_norm: gradients with a larger global norm are scaled down to it; 0 disables clipping.
        frozen: top-level modules of `params` that are not trained.
    """
    parts = [optax.clip_by_global_norm(clip_norm)] if clip_norm else []
    if weight_decay and kind != "adamw":
        parts.append(optax.add_decayed_weights(weight_decay, _kernels))
    parts.append(_rule(kind, schedule, weight_decay))
    trained = optax.chain(*parts) if len(parts) > 1 else parts[0]

    def labels(params: Any) -> Any:
        return jax.tree.map(lambda kept: "frozen" if kept else "trained", is_frozen(params, frozen))

    return optax.partition({"trained": trained, "frozen": optax.set_to_zero()}, labels)


def _rule(kind: str, schedule: optax.Schedule, weight_decay: float) -> optax.GradientTransformation:
    if kind == "sgd":
        return optax.sgd(schedule, MOMENTUM)
    if kind == "adamw":
        return optax.adamw(schedule, weight_decay=weight_decay, mask=_kernels)
    return optax.adam(schedule)


def _kernels(params: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
