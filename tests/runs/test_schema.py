import dataclasses
import subprocess
import sys

import pytest

from splice_jax import losses
from splice_jax.crf import CrfParameters
from splice_jax.data.sets.builders import BUILDERS
from splice_jax.errors import UserError
from splice_jax.methods.registry import trained_names
from splice_jax.runs import schema
from splice_jax.runs.configuration import evaluation_config, field_names, save_config


def test_every_field_stands_in_it_once_with_a_meaning() -> None:
    assert field_names(schema.default_config()) == sorted(schema.FIELDS)
    assert all(field.meaning for field in schema.FIELDS.values())


@pytest.mark.parametrize("name", schema.FIELDS)
def test_a_default_is_a_value_that_the_field_may_have(name: str) -> None:
    schema.FIELDS[name].check(schema.default_config())


def test_choices_are_those_of_whoever_reads_the_field() -> None:
    assert set(schema.FIELDS["loss.normalization"].choices) == set(losses.NORMALIZATIONS)
    assert set(schema.FIELDS["dataset"].meaning.split(", ")) == set(BUILDERS)
    assert set(schema.FIELDS["method"].meaning.split(", ")) == set(trained_names())
    crf = {name.removeprefix("crf.") for name in schema.FIELDS if name.startswith("crf.")} - {"backend"}
    assert crf == {field.name for field in dataclasses.fields(CrfParameters)}


def test_other_runs_are_looked_at_as_the_evaluation_says() -> None:
    reading = {"mask_pattern", "mask_orientation", "skip_unreadable"}
    assert set(schema.LOOKS_AT) == {"dataset", "data_dir", "split", "split_seed"} | reading
    assert schema.LOOKS_CLOSELY == ("patch_stride", "orientations")


def test_an_evaluation_may_choose_what_it_looks_at_and_how_closely() -> None:
    free = {"dataset", "data_dir", "split", "split_seed", "patch_stride", "orientations", "seed"}
    crf = {name for name in schema.FIELDS if name.startswith("crf.")}
    assert not (free | crf) & schema.TRAINED_WITH
    assert {
        "hidden_size",
        "border",
        "width",
        "loss.beta",
        "learning_rate",
        "method",
        "num_steps",
    } <= schema.TRAINED_WITH


def test_a_run_can_be_gone_on_with_for_longer_and_looked_at_otherwise() -> None:
    assert {"num_steps", "validate_every", "log_every", "crf.backend", "orientations"} <= schema.CHANGEABLE
    assert not schema.CHANGEABLE & {"learning_rate", "hidden_size", "data_dir", "seed", "patch_stride", "loss.beta"}


def test_a_map_depends_on_what_is_computed_and_not_on_how_it_was_learnt() -> None:
    assert {"patch_stride", "border", "orientations", "hidden_size", "width"} <= schema.SHAPES_MAPS
    assert not schema.SHAPES_MAPS & {"seed", "learning_rate", "data_dir", "resident_gigabytes", "cpu_devices", "split"}


def test_scores_of_runs_that_differ_in_seeds_and_machines_have_a_common_mean() -> None:
    assert {"seed", "split_seed", "cpu_devices", "resident_gigabytes", "evaluation_name"} <= schema.SAME_SCORE
    assert not schema.SAME_SCORE & {"split", "ignore_border", "crf.iterations", "orientations", "learning_rate"}


@pytest.mark.parametrize("field", ["hidden_size", "loss.beta", "num_steps", "method"])
def test_an_evaluation_does_not_change_what_a_run_is(field: str, tmp_path) -> None:
    save_config(schema.default_config(), tmp_path)
    with pytest.raises(UserError, match=rf"^--config\.{field}: belongs to the .* was trained with"):
        evaluation_config(tmp_path, [(field, "64")])
    assert evaluation_config(tmp_path, [("patch_stride", "32"), ("crf.iterations", "3")]).patch_stride == 32


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("schedule", "linear", "config.schedule: 'linear' is none of step, cosine"),
        ("batch_size", 0, "config.batch_size: 0 is less than 1"),
        ("seed", 2**32, "config.seed: 4294967296 is not from 0 to 4294967295"),
        ("patch_stride", 65, "config.patch_stride: 65 is not from 1 to 64"),
    ],
)
def test_a_value_that_cannot_be_is_named(field: str, value: object, message: str) -> None:
    config = schema.default_config()
    config[field] = value
    with pytest.raises(UserError, match=message):
        schema.check_config(config)


def test_it_is_read_without_jax() -> None:
    code = "import sys, splice_jax.runs.schema; print({'jax', 'grain', 'tensorflow_datasets'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
