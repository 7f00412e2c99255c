from pathlib import Path
from typing import Any

import pytest
from ml_collections import ConfigDict

from splice_jax.crf import CrfParameters
from splice_jax.data.sets.builders import BUILDERS
from splice_jax.runs.builtin import NAMES, baseline, builtin, default
from splice_jax.runs.configuration import field_names, load_config, read_config_file, save_config
from splice_jax.runs.load import network_from_config
from splice_jax.runs.schema import check_config

FOLDER = Path(__file__).parents[2] / "configs"
FILES = sorted(FOLDER.glob("*.py"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def config(request: pytest.FixtureRequest) -> ConfigDict:
    return read_config_file(request.param)


def test_the_folder_configs_holds_every_built_in_configuration() -> None:
    assert sorted(NAMES) == [path.stem for path in FILES]


def test_a_file_gives_the_built_in_configuration_of_its_name() -> None:
    assert all(read_config_file(path).to_dict() == builtin(path.stem).to_dict() for path in FILES)


def types(value: Any) -> Any:
    return {name: types(inner) for name, inner in value.items()} if isinstance(value, ConfigDict) else type(value)


def test_fields_and_their_types_are_those_of_the_default(config: ConfigDict) -> None:
    assert types(config) == types(default.get_config())


def test_training_and_evaluation_accept_every_field(config: ConfigDict) -> None:
    check_config(config)
    network = network_from_config(config)
    for field in ("hidden_size", "num_layers") if config.method in ("sgn", "bappy") else ():
        assert getattr(network, field) == config[field]
    assert config.dataset in BUILDERS
    assert CrfParameters.from_config(config.crf).iterations == config.crf.iterations
    assert config.warmup_steps < (config.num_steps or 10**9)


def test_a_run_holds_its_configuration_unchanged(config: ConfigDict, tmp_path: Path) -> None:
    save_config(config, tmp_path)
    assert load_config(tmp_path).to_dict() == config.to_dict()


def test_the_baseline_has_every_faithful_variant() -> None:
    config = baseline.get_config()
    changed = {
        field: config_value
        for field in field_names(config)
        if (config_value := value(config, field)) != value(default.get_config(), field)
    }
    assert changed == {
        "activation": "relu",
        "augment": False,
        "block_order": "column",
        "border": "crop",
        "cnn_output": "relu",
        "crf.backend": "none",
        "global_normalization": "unit",
        "initialization": "baseline",
        "input_normalization": "unit",
        "learning_rate": 1e-4,
        "loss.class_weights": (1.0, 5.0),
        "loss.smooth": 0.0,
        "patches_per_image": 1,
        "resnet_batch_norm": "training",
    }
    kept = ("hidden_size", "num_layers", "compute_dtype", "batch_size", "loss.beta", "loss.normalization")
    assert [value(config, field) for field in kept] == [256, 3, "float32", 64, 10.0, "weight"]
    assert (config.schedule, config.drop_epochs, config.drop_factor) == ("step", (20, 40), 0.1)
    assert (config.warmup_steps, config.clip_norm) == (0, 0.0)


def value(config: ConfigDict, field: str) -> Any:
    for part in field.split("."):
        config = config[part]
    return config


def test_every_configuration_is_its_own_copy() -> None:
    changed = default.get_config()
    changed.loss.beta = 1.0
    assert default.get_config().loss.beta == 10.0
