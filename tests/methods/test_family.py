from typing import Any

import pytest
from ml_collections import ConfigDict

from splice_jax.methods.registry import family, trained_names
from splice_jax.runs.builtin import builtin, default


def sgn(**changes: Any) -> ConfigDict:
    """The published network, fields changed as the arguments say."""
    config = default.get_config()
    config.update(family("sgn").published, method="sgn", global_weights="resnet18.npz")
    config.update(changes)
    return config


def test_the_published_network_has_no_note() -> None:
    assert family("sgn").note(sgn()) == ""
    assert family("bappy").note(sgn(method="bappy", global_network="cnn")) == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hidden_size", 64),
        ("num_layers", 1),
        ("input_normalization", "residual"),
        ("activation", "leaky_relu"),
        ("block_order", "row"),
        ("global_normalization", "imagenet"),
        ("resnet_batch_norm", "frozen"),
        ("initialization", "looks_linear"),
        ("compute_dtype", "bfloat16"),
    ],
)
def test_every_difference_from_the_published_network_is_named(field: str, value: Any) -> None:
    assert family("sgn").note(sgn(**{field: value})) == f"{field} {value}"


def test_of_another_global_network_only_its_own_fields_count() -> None:
    assert family("sgn").note(sgn(global_network="cnn", cnn_output="linear", resnet_batch_norm="frozen")) == (
        "global_network cnn, cnn_output linear"
    )


def test_a_resnet_without_weights_is_named_and_has_to_be_asked_for() -> None:
    random = sgn(global_weights="")
    assert family("sgn").note(random) == "ResNet-18 with random weights"
    assert "allow_random_weights=True" in family("sgn").missing_weights(random)
    random.allow_random_weights = True
    assert family("sgn").missing_weights(random) == ""
    assert family("sgn").missing_weights(sgn()) == family("bappy").missing_weights(sgn(method="bappy")) == ""
    imported = sgn(global_weights="")
    imported.imported = "model.pth"  # Its checkpoint holds the weights.
    assert family("sgn").note(imported) == ""


def test_the_released_baseline_differs_by_its_global_network_alone() -> None:
    assert family("sgn").note(builtin("baseline")) == "global_network cnn"


def test_rows_of_one_network_stand_in_one_run() -> None:
    assert family("sgn").rows("sgn") == ("sgn",)
    assert family("mfcn").rows("mfcn_edge") == ("mfcn_edge", "mfcn")
    assert family("mfcn").rows("sfcn") == ("sfcn",)


@pytest.mark.parametrize("method", trained_names())
def test_published_values_are_of_fields_that_there_are(method: str) -> None:
    rows = family(method)
    assert set(rows.published) <= {field.name for field in rows.fields}
    for field in rows.fields:
        assert not field.choices or rows.published.get(field.name, field.default) in field.choices
