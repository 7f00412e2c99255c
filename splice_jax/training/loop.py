"""Trains a run from its configuration: `train(config, workdir)`."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from ml_collections import ConfigDict

from splice_jax import hosts
from splice_jax.data import Example, Split, open_split
from splice_jax.data.sets.reading import Reading
from splice_jax.errors import UserError, stopping
from splice_jax.files import writable_folder
from splice_jax.methods.registry import family
from splice_jax.methods.trained import crf_layer
from splice_jax.runs import schema
from splice_jax.runs.checkpoints import BEST, LAST, Checkpoints
from splice_jax.runs.configuration import FILE_NAME, field_names, field_value, load_run_config, save_config
from splice_jax.runs.division import record_division
from splice_jax.runs.load import crf_from_config
from splice_jax.training.monitor import Monitor, Silence
from splice_jax.training.optimizer import cosine_schedule, make_optimizer, step_schedule
from splice_jax.training.start import initial_variables
from splice_jax.training.step import ParallelStep, State, StepSpec, Vote, initial_state
from splice_jax.training.validation import validate


def train(config: ConfigDict, workdir: Path) -> State:
    """Trains a run, or resumes it from its last checkpoint; returns the final state in host memory.

    A run that was killed and restarted ends with the same parameters, bit for bit, as an uninterrupted one, given the
    same number of devices and processes and the same versions of JAX and of this package: everything a step depends on
    is in the checkpoint. On different numbers of them, the parameters are the same up to rounding. All processes (see
    `hosts`) call this with the same configuration and a workdir that they share.

    Args:
        config: see `splice_jax.runs.schema`.
        workdir: the run's folder, created if missing: config.json, checkpoints/, metrics.jsonl, tensorboard/.

    Raises:
        UserError: a field or file is wrong, the workdir holds another configuration, or a loss is not finite.
    """
    schema.check_config(config)
    rows = family(config.method)
    network = rows.network(config)
    if not (workdir / FILE_NAME).exists() and (missing := rows.missing_weights(config)):
        raise UserError(missing)
    before = check_workdir(config, workdir)
    hosts.require_shared(workdir)
    variables = initial_variables(config, network)
    examples, validation = training_data(config)
    steps_per_epoch, batches, loss, resident = rows.training(config, network, variables, examples)
    steps, schedule = _length(config, steps_per_epoch), _schedule(config, steps_per_epoch)
    optimizer = make_optimizer(
        schedule,
        kind=config.optimizer,
        weight_decay=config.weight_decay,
        clip_norm=config.clip_norm,
        frozen=rows.frozen,
    )
    state = initial_state(variables, optimizer, config.seed, averaged=config.ema_decay > 0)
    if hosts.is_first():
        record_division(workdir, examples.division)
    parallel = ParallelStep(StepSpec(loss, optimizer, rows.frozen, config.ema_decay), resident)
    last, best = Checkpoints(workdir, LAST), Checkpoints(workdir, BEST)
    if last.step is not None and last.step > steps:
        raise UserError(f"config.num_steps: the run would end at step {steps}, but {workdir} is at step {last.step}")
    if rows.trains_crf(config):  # The section `crf` of the run is learned, that of the caller is not touched.
        config = ConfigDict(config.to_dict())
        config.crf.update({name: (before or config).crf[name] for name in crf_layer.LEARNED})
    if hosts.is_first():
        save_config(config, workdir)  # Not earlier: a mistake above can be fixed without a new workdir.

    # A resumed run restores
    # 1. the state: parameters, BatchNorm averages, optimizer, random key;
    # 2. the position in the data, so that the next batch is the one that would have come next;
    # 3. the best score so far, so that a worse network does not replace the best one;
    # 4. the step number, from which the loop, the schedule and the log continue.
    record: dict[str, Any] = {"best_score": -math.inf}
    if last.step is not None:
        state, record = last.restore(state)
        batches.set_state(record["data"])
        print(f"{workdir}: going on after step {last.step}", flush=True)
        _tell_devices(record, {"devices": parallel.total, "processes": hosts.count()})
        _tell_cosine(before or config, config, steps_per_epoch, int(state.step))
    start, best_score = int(state.step), float(record["best_score"])
    validated = record.get("validated", True)

    replicas, vote = parallel.replicate(state), Vote()
    pending: list[dict[str, jax.Array]] = []
    writing = {"start": start, "steps": steps, "batch_size": config.batch_size, "unit": rows.unit}
    with (
        Monitor(workdir, **writing, validated=validated) if hosts.is_first() else Silence() as monitor,
        stopping() as stop,
    ):
        # Where a run was stopped before or within a validation, that comes first.
        for step in range(start + validated, steps + 1):
            if step > start:
                replicas, scalars = parallel(replicas, next(batches))
                pending.append(scalars)
            leaving = vote(stop.asked is not None)
            validating = step % config.validate_every == 0 or step in (steps, start)
            saving = validating or step % config.checkpoint_every == 0 or leaving
            if pending and (saving or step % config.log_every == 0):
                monitor.scalars(step, {**_mean(pending, step), "learning_rate": float(schedule(step - 1))})
                pending = []
            validated = not validating
            if validating and not leaving:
                state = parallel.unreplicate(replicas)
                variables, learned = crf_layer.parted(state.variables)
                config.crf.update(learned)
                refine = crf_from_config(config, "jax") if learned else None
                localizer = rows.localizer(config, network, variables, row=config.method, refine=refine)
                if found := validate(localizer, validation, stop):
                    scores, pictures = found
                    monitor.validation(step, scores, pictures)
                    if scores["validation/mcc_best"] > best_score:
                        best_score = scores["validation/mcc_best"]
                        best.save(step, variables, scores)
                        if learned and hosts.is_first():
                            save_config(config, workdir)
                validated, leaving = found is not None, found is None
            if saving:
                record = {"data": batches.get_state(), "best_score": best_score}
                record |= {"devices": parallel.total, "processes": hosts.count()}
                last.save(step, parallel.unreplicate(replicas), {**record, "validated": validated})
            if leaving:
                stop.leave(f"{workdir} is saved at step {step}; the same command goes on from there")
    return parallel.unreplicate(replicas)


def check_workdir(config: ConfigDict, workdir: Path) -> ConfigDict | None:
    """Checks, before any work is done, that the run can be stored there.

    Returns:
        the configuration the run was last started with; None if there is no run yet.

    Raises:
        UserError: the folder holds a run of another configuration, or cannot be written to.
    """
    if (writable_folder(workdir) / FILE_NAME).exists():
        old = load_run_config(workdir)
        changed = [
            field
            for field in sorted({*field_names(config), *field_names(old)})
            if field not in schema.CHANGEABLE and field_value(config, field) != field_value(old, field)
        ]
        if changed:
            differences = ", ".join(f"{field} was {field_value(old, field)!r}" for field in changed)
            raise UserError(f"{workdir}: holds a run of another configuration ({differences}); choose a new workdir")
        return old
    return None


def training_data(config: ConfigDict) -> tuple[Split, Sequence[Example]]:
    """The training split, and the decoded validation images.

    Raises:
        UserError: data are missing or wrong.
    """
    where = config.dataset, config.data_dir
    how: dict[str, Any] = {"split_seed": config.split_seed, "reading": Reading.from_config(config)}
    examples = open_split(
        *where, "train", divide_flat=True, include_authentic=family(config.method).learns_authentic, **how
    )
    validation = open_split(*where, "val", divide_flat=True, **how)
    chosen = np.unique(np.linspace(0, len(validation) - 1, min(config.validation_images, len(validation)), dtype=int))
    return examples, [validation[int(index)] for index in chosen]


def _length(config: ConfigDict, steps_per_epoch: int) -> int:
    return config.num_steps or steps_per_epoch * config.num_epochs


def _schedule(config: ConfigDict, steps_per_epoch: int) -> optax.Schedule:
    if config.schedule == "cosine":
        return cosine_schedule(config.learning_rate, _length(config, steps_per_epoch), config.warmup_steps)
    drops = [epoch * steps_per_epoch for epoch in config.drop_epochs]
    return step_schedule(config.learning_rate, drops, config.drop_factor, config.warmup_steps)


def _tell_devices(record: dict[str, Any], now: dict[str, int]) -> None:
    """Reports other numbers of devices or processes than at the checkpoint; earlier versions did not record both."""
    for what, number in now.items():
        before = record.get(what, number)
        if before != number:
            print(f"{what}: {before} until now, {number} from here on; rounding differs from here on", flush=True)


def _tell_cosine(before: ConfigDict, config: ConfigDict, steps_per_epoch: int, step: int) -> None:
    """Reports how a changed number of steps affects the learning rate of a run resumed after `step`."""
    old, new = (_length(each, steps_per_epoch) for each in (before, config))
    if config.schedule == "cosine" and old != new:
        was, will_be = (float(_schedule(each, steps_per_epoch)(step)) for each in (before, config))
        print(
            f"num_steps: {old} until now, {new} from here on; the learning rate follows the "
            f"{'longer' if new > old else 'shorter'} cosine, at step {step + 1} it is {will_be:.3g} "
            f"instead of {was:.3g}",
            flush=True,
        )


def _mean(pending: list[dict[str, jax.Array]], step: int) -> dict[str, float]:
    """Averages scalars over the last steps; fetching them together keeps the steps from waiting for one another.

    Raises:
        UserError: a loss is not finite, or the norm of the updated parameters is not.
    """
    fetched = jax.device_get(pending)
    for number, scalars in enumerate(fetched, step - len(fetched) + 1):
        for name in ("loss/total", "norm/parameter"):
            if not np.isfinite(scalars[name]):
                raise UserError(
                    f"step {number}: {name} is {scalars[name].item()}; the run stops with its last checkpoint, "
                    "lower learning_rate or set clip_norm"
                )
    return {name: float(np.mean([scalars[name] for scalars in fetched])) for name in fetched[0]}
