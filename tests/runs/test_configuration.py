import json
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from splice_jax.errors import UserError
from splice_jax.runs.builtin import builtin, default
from splice_jax.runs.configuration import (
    apply_overrides,
    field_names,
    load_config,
    load_run_config,
    read_config,
    read_config_file,
    save_config,
    split_flags,
)

FILE = """
from ml_collections import ConfigDict

def get_config():
    return ConfigDict({"seed": 0, "learning_rate": 1e-3, "name": "x", "flip": False, "steps": (20, 40), "weights": None,
                       "loss": {"beta": 10.0}})
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(FILE)
    return path


@pytest.fixture
def config(file: Path) -> ConfigDict:
    return read_config_file(file)


def test_flags_are_sorted_into_file_overrides_and_rest() -> None:
    argv = ["--workdir=w", "--config=a.py", "--config.seed", "-3", "--config.flip", "--config.name=x=y", "--v", "1"]
    assert split_flags(argv) == (
        "a.py",
        [("seed", "-3"), ("flip", None), ("name", "x=y")],
        ["--workdir=w", "--v", "1"],
    )


def test_flags_change_fields_of_the_file(file: Path) -> None:
    name, overrides, rest = split_flags([f"--config={file}", "--config.loss.beta=5", "--config.seed", "7", "other"])
    config = apply_overrides(read_config(name or ""), overrides)
    assert (config.loss.beta, config.seed, config.name, rest) == (5.0, 7, "x", ["other"])


def test_a_name_is_a_built_in_configuration_and_a_path_ending_in_py_a_file(file: Path) -> None:
    assert read_config("demo").to_dict() == builtin("demo").to_dict() != builtin("default").to_dict()
    assert read_config(str(file)).name == "x"
    with pytest.raises(UserError, match="--config=dmo: no built-in configuration and no .py file; built in: default, "):
        read_config("dmo")


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        ("seed", "-1", -1),
        ("learning_rate", "1", 1.0),
        ("learning_rate", "1e-5", 1e-5),
        ("name", "none", "none"),
        ("name", "", ""),
        ("flip", "True", True),
        ("flip", None, True),
        ("flip", "0", False),
        ("steps", "1,2,3", (1, 2, 3)),
        ("steps", "(5, 6)", (5, 6)),
        ("steps", "5", (5,)),
        ("steps", "()", ()),
        ("weights", "file.npz", "file.npz"),
        ("weights", "3", 3),
    ],
)
def test_values_take_the_type_of_the_field(config: ConfigDict, field: str, text: str | None, expected: object) -> None:
    changed = apply_overrides(config, [(field, text)])
    assert changed[field] == expected
    assert type(changed[field]) is type(expected)


def test_overrides_leave_the_original_alone_and_the_last_one_wins(config: ConfigDict) -> None:
    changed = apply_overrides(config, ["--config.seed=1", "--config.seed=2"])
    assert (changed.seed, config.seed) == (2, 0)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--config.sed=1", "--config.sed: no such field; did you mean --config.seed?"),
        ("--config.bta=1", "did you mean --config.loss.beta?"),
        ("--config.los.beta=1", "did you mean --config.loss.beta?"),
        ("--config.seed.x=1", "--config.seed.x: no such field"),
        ("--config.=1", "--config.: no such field"),
        ("--config.loss=1", "--config.loss: is a section, set one of its fields: loss.beta"),
        ("--config.seed=1.5", "--config.seed=1.5: expected a whole number, such as 0"),
        ("--config.learning_rate=fast", "--config.learning_rate=fast: expected a number"),
        ("--config.learning_rate=nan", "--config.learning_rate=nan: expected a number"),
        ("--config.flip=maybe", "--config.flip=maybe: expected true or false"),
        ("--config.steps=1,b", "--config.steps=1,b: expected values separated by commas, such as (20, 40)"),
        ("--config.seed", "--config.seed: its value is missing"),
        ("--seed=3", "--seed=3: expected --config.FIELD=VALUE"),
    ],
)
def test_mistakes_are_named_in_one_line(config: ConfigDict, flag: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        apply_overrides(config, [flag])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unlike_any_field_lists_all(config: ConfigDict) -> None:
    with pytest.raises(UserError, match=r"there are: .*loss\.beta"):
        apply_overrides(config, [("qqqqq", "1")])


@pytest.mark.parametrize("argv", [["--config"], ["--config="], ["--config=missing.py"], ["--config=README.md"]])
def test_file_has_to_be_named_and_there(argv: list[str]) -> None:
    with pytest.raises(UserError, match="--config"):
        read_config(split_flags(argv)[0] or "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "defines no function get_config"),
        ("def get_config():\n    return {}", "returns dict"),
        ("import nowhere_to_be_found", "line 1: ModuleNotFoundError"),
        ("x = 1\ndef get_config(:", "SyntaxError"),
        ("def get_config():\n    return {}['seed']", "line 2: KeyError"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_config_file(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_saved_configuration_comes_back_equal(config: ConfigDict, tmp_path: Path) -> None:
    save_config(config, tmp_path / "run")
    loaded = load_config(tmp_path / "run")
    assert loaded.to_dict() == config.to_dict()
    assert loaded.steps == (20, 40)
    assert type(loaded.loss.beta) is float
    assert field_names(loaded) == ["flip", "learning_rate", "loss.beta", "name", "seed", "steps", "weights"]


def test_missing_runs_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="missing: no such folder"):
        load_config(tmp_path / "missing")
    with pytest.raises(UserError, match=r"no config\.json"):
        load_config(tmp_path)
    (tmp_path / "config.json").write_text('{"seed": ')
    with pytest.raises(UserError, match="cannot be read as JSON"):
        load_config(tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(UserError, match="holds no configuration"):
        load_config(tmp_path)


def test_fields_newer_than_a_run_have_their_defaults_and_its_own_stay(tmp_path: Path) -> None:
    config = default.get_config()
    config.seed, config.loss.smooth, config.crf.iterations = 3, 0.25, 2
    for older in ("orientations", "cnn_output", "degradations"):
        del config[older]
    del config.crf["neutral"]
    save_config(config, tmp_path)
    loaded, defaults = load_run_config(tmp_path), default.get_config()
    assert (loaded.seed, loaded.loss.smooth, loaded.crf.iterations) == (3, 0.25, 2)
    assert field_names(loaded) == field_names(defaults)
    for older in ("orientations", "cnn_output", "degradations"):
        assert loaded[older] == defaults[older]
    assert loaded.crf.neutral == defaults.crf.neutral


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("batch_size", "x", "config.json: batch_size: expected a whole number, not 'x'; mend it there"),
        ("batch_size", True, "batch_size: expected a whole number, not True"),
        ("learning_rate", None, "learning_rate: expected a number, not None"),
        ("learning_rate", float("inf"), "learning_rate: expected a number, not inf"),
        ("loss", 3, "loss: expected a section, not 3"),
        ("dataset", ["x"], "dataset: expected a text"),
        ("loss.beta", 1, "config.json: has a field that no configuration has .*; remove it"),
        ("__class__", 1, "config.json: has a field that no configuration has .*; remove it"),
    ],
)
def test_a_config_json_of_other_kinds_of_values_is_refused_by_the_field(
    tmp_path: Path, name: str, value: object, match: str
) -> None:
    fields = builtin("default").to_dict() | {name: value}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    with pytest.raises(UserError, match=match):
        load_run_config(tmp_path)


def test_a_config_json_nested_too_deep_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match="cannot be read as JSON .nested too deep"):
        load_run_config(tmp_path)
