"""Rows without training against authentic photographs."""

import numpy as np

from splice_jax.examination import authentic
from splice_jax.methods import Found
from splice_jax.methods.registry import hand_crafted


def found(values: list[list[float]]) -> Found:
    probability = np.array(values, np.float32)
    return Found(probability, probability >= 0.5)


def test_separation_is_the_share_of_variance_between_both_parts() -> None:
    assert authentic.separation(found([[0, 0, 1, 1]])) == 1
    values = np.array([0.1, 0.3, 0.7, 0.9])
    assert np.isclose(authentic.separation(found([values.tolist()])), 0.3**2 / values.var(), atol=1e-6)
    assert authentic.separation(found([[0, 0]])) == authentic.separation(found([[1, 0.9]])) == 0


def test_a_summary_counts_photographs_that_stand_out() -> None:
    made = authentic.summarize([{"a": number / 100, "b": 0.0} for number in range(101)] + [{"a": 0.5}])
    assert made["photographs"] == 102 and made["standing_out"] == 5
    assert made["rows"]["a"]["marked"] == 101 and made["rows"]["b"] == {
        "photographs": 101,
        "marked": 0,
        "separation": [0.0] * 101,
    }


def test_every_row_without_training_was_measured() -> None:
    clear = found([[0, 0, 1, 1]])
    for name in hand_crafted():
        known = authentic.compare(name, clear)
        assert known is not None and known.marked <= known.photographs and 0 <= known.as_clear < 0.1
    assert authentic.compare("sgn", clear) is None
    assert 0 < authentic.by_chance() < 1
