"""Converts checkpoints of the PyTorch baseline to runs, and runs to its checkpoints.

A checkpoint is what the released program saves, {epoch, arch, state_dict, best_acc, optimizer}, or a state_dict alone.
Adam's moments are not converted: an imported run can only be evaluated, and an exported checkpoint resumes with zero
moments.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from splice_jax.errors import UserError, one_line, printable
from splice_jax.files import replacing
from splice_jax.methods.fields import Field
from splice_jax.methods.trained.semi_global.method import FAMILY
from splice_jax.runs import schema
from splice_jax.runs.checkpoints import BEST, Checkpoints
from splice_jax.runs.configuration import load_run_config, save_config
from splice_jax.runs.load import best_checkpoint
from splice_jax.weights import baseline
from splice_jax.weights.pickled import import_torch, read_pickled, write_pickled

_COUNTERS = "num_batches_tracked"


class Found(NamedTuple):
    """A checkpoint as read: tensors by plain name, the architecture it names (or ""), and everything else kept."""

    state: dict[str, Any]
    arch: str
    record: dict[str, Any]


def import_run(checkpoint: Path, arch: str, workdir: Path, faithful: ConfigDict) -> dict[str, Any]:
    """Makes a run from a checkpoint; the size and number of LSTM layers follow from its tensors.

    Args:
        checkpoint: a file saved by any version of PyTorch.
        arch: `res_sgn`, `sgn` or `jcs`.
        workdir: where the run goes; must not exist yet, or be empty.
        faithful: the configuration under which this package computes what the baseline does.

    Returns:
        what the checkpoint's record keeps: `epoch`, `best_acc`.

    Raises:
        UserError: the file is not such a checkpoint or not safe to read, its tensors are not the architecture's, the
            workdir is not empty, or PyTorch is not installed.
    """
    if workdir.exists() and (not workdir.is_dir() or any(workdir.iterdir())):
        raise UserError(f"{workdir}: is not empty; choose a new workdir for the imported run")
    found = _read(checkpoint)
    if found.arch not in ("", arch):
        raise UserError(f"{checkpoint}: holds {printable(found.arch)}, not {arch}; give --arch={printable(found.arch)}")
    config = _config(faithful, arch, found.state, checkpoint)
    like = FAMILY.variable_shapes(FAMILY.network(config))
    variables = baseline.to_variables(found.state, arch, like, source=str(checkpoint))
    with replacing(workdir.absolute()) as unfinished:
        Checkpoints(unfinished, BEST).save(0, variables, found.record)
        save_config(config, unfinished)
    return found.record


def export_run(workdir: Path, output: Path, faithful: ConfigDict, *, data_parallel: bool = False) -> list[str]:
    """Writes a run's best checkpoint for the released program, which can evaluate, resume or fine-tune it.

    Args:
        workdir: a trained run.
        output: the file to write.
        faithful: see `import_run`.
        data_parallel: name the tensors as the program does when it is started with `--gpu`.

    Returns:
        the fields because of which the baseline will compute something else from these weights, as `field=value`.

    Raises:
        UserError: there is no such run, the file cannot be written, or PyTorch is not installed.
    """
    torch = import_torch()
    config = load_run_config(workdir)
    network = FAMILY.network(config)
    arch = {theirs: arch for arch, theirs in baseline.ARCHITECTURES.items()}[network.global_network]
    variables, record = best_checkpoint(workdir, FAMILY.variable_shapes(network))
    arrays = baseline.from_variables(variables, arch)
    arrays |= {name: np.array(count) for name, count in record.get(_COUNTERS, {}).items()}
    state = {name: torch.tensor(array) for name, array in arrays.items()}
    content = {
        "epoch": int(record.get("epoch", 0)),
        "arch": arch,
        "state_dict": baseline.parallel_names(state) if data_parallel else state,
        "best_acc": float(record.get("best_acc", 0.0)),
        "optimizer": _fresh_adam(config.learning_rate, len(baseline.trained_names(arch, config.num_layers))),
    }
    write_pickled(content, output)
    shaping = [field for field in _shaping(config) if field.value(config) != field.value(faithful)]
    return [f"{field.name}={field.value(config)}" for field in shaping]


def _shaping(config: ConfigDict) -> list[Field]:
    """The fields that change what the weights compute, except `global_network`, which the architecture implies."""
    fields = [field for field in (*schema.COMMON, *FAMILY.fields) if field.changes_map and field.applies(config)]
    return [field for field in fields if field.name != "global_network"]


def _read(path: Path) -> Found:
    content = read_pickled(path)
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not state or not all(hasattr(tensor, "shape") for tensor in state.values()):
        raise UserError(f"{path}: holds no state_dict of tensors; give a checkpoint of the released program")
    state = baseline.plain_names(state)
    try:
        counters = {name: int(state[name]) for name in state if name.endswith(baseline.COUNTERS)}
        record = {"epoch": int(content.get("epoch", 0)), "best_acc": float(content.get("best_acc", 0.0))}
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: its epoch, best_acc or a {_COUNTERS} is no number ({one_line(error)})") from error
    return Found(state, str(content.get("arch", "")), {**record, _COUNTERS: counters})


def _config(faithful: ConfigDict, arch: str, state: Mapping[str, Any], checkpoint: Path) -> ConfigDict:
    config = ConfigDict(faithful.to_dict())
    config.method = "bappy" if arch == "jcs" else "sgn"
    config.global_network = baseline.ARCHITECTURES[arch]
    config.hidden_size, config.num_layers = baseline.lstm_size(state)
    config.imported = str(checkpoint)  # a field that no other run has: training cannot go on here by mistake
    return config


def _fresh_adam(learning_rate: float, parameters: int) -> dict[str, Any]:
    """The state of PyTorch's Adam before its first step."""
    group = {"lr": learning_rate, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "amsgrad": False}
    return {"state": {}, "param_groups": [group | {"params": list(range(parameters))}]}
