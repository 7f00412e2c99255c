from pathlib import Path
from typing import Any

import pytest
from ml_collections import ConfigDict

from configs import default
from splice_jax.configuration import load_config, read_config_file, save_config
from splice_jax.crf import CrfParameters
from splice_jax.data.builders import BUILDERS
from splice_jax.localizers.runs import network_from_config
from splice_jax.training.loop import check_fields

FOLDER = Path(default.__file__).parent
FILES = sorted(FOLDER.glob("*.py"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def config(request: pytest.FixtureRequest) -> ConfigDict:
    return read_config_file(request.param)


def test_there_are_configurations() -> None:
    assert {"default", "demo"} <= {path.stem for path in FILES}


def types(value: Any) -> Any:
    return {name: types(inner) for name, inner in value.items()} if isinstance(value, ConfigDict) else type(value)


def test_fields_and_their_types_are_those_of_the_default(config: ConfigDict) -> None:
    assert types(config) == types(default.get_config())


def test_training_and_evaluation_accept_every_field(config: ConfigDict) -> None:
    check_fields(config)
    network = network_from_config(config)
    assert network.hidden_size == config.hidden_size and network.num_layers == config.num_layers
    assert config.dataset in BUILDERS
    assert CrfParameters.from_config(config.crf).iterations == config.crf.iterations
    assert config.warmup_steps < (config.num_steps or 10**9)


def test_a_run_holds_its_configuration_unchanged(config: ConfigDict, tmp_path: Path) -> None:
    save_config(config, tmp_path)
    assert load_config(tmp_path).to_dict() == config.to_dict()


def test_every_configuration_is_its_own_copy() -> None:
    changed = default.get_config()
    changed.loss.beta = 1.0
    assert default.get_config().loss.beta == 10.0
