"""What a run starts from."""

from pathlib import Path

import jax
from flax import linen as nn
from ml_collections import ConfigDict

from splice_jax.crf import CrfParameters
from splice_jax.errors import UserError
from splice_jax.methods.family import Variables
from splice_jax.methods.registry import PACKAGED, family
from splice_jax.methods.trained import crf_layer
from splice_jax.runs import schema
from splice_jax.runs.configuration import field_value, load_run_config
from splice_jax.runs.load import best_checkpoint, network_from_config


def initial_variables(config: ConfigDict, network: nn.Module) -> Variables:
    """Drawn by `seed`, or those that `init` names; with the module `crf` where the CRF is trained too.

    Raises:
        UserError: there is no such model, it is another network, or there are no such weights.
    """
    rows = family(config.method)
    if config.init not in ("", "packaged"):
        variables = _of_run(config, network)
    elif config.init and config.method not in PACKAGED:
        raise UserError(f"config.init: {config.method} comes without a trained model; name the folder of a run")
    else:
        variables = rows.with_weights(rows.initial_variables(network, jax.random.key(config.seed)), config)
    if rows.trains_crf(config):
        module = crf_layer.initial(CrfParameters.from_config(config.crf))
        variables = variables | {"params": {**variables["params"], crf_layer.NAME: module}}
    return variables


def _of_run(config: ConfigDict, network: nn.Module) -> Variables:
    """The best checkpoint of the run that `init` names."""
    workdir = Path(config.init)
    theirs = load_run_config(workdir)
    if theirs.method != config.method or network_from_config(theirs) != network:
        fields = schema.names(role="network")
        differing = [name for name in fields if field_value(theirs, name) != field_value(config, name)]
        raise UserError(f"config.init: {workdir} holds another network; it differs in {', '.join(differing)}")
    return best_checkpoint(workdir, family(config.method).variable_shapes(network))[0]
