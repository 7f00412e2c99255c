"""The verdict's sentence and its interval."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import splice_jax
from splice_jax.examination.verdict import verdict
from splice_jax.methods import Found, Localizer
from splice_jax.metrics import clopper_pearson
from splice_jax.weights.calibration import KINDS, Calibration

MAP = np.zeros((2, 3), np.float32)


class Calibrated(Localizer):
    """A row with a calibration."""

    name = "sgt"

    def __init__(self, photographs: int | None = None, kinds: Sequence[str] = ()) -> None:
        levels = np.zeros(photographs or 0, np.float32)
        self.calibration = Calibration(0, 0, 1, 0, levels, np.array(kinds, str)) if photographs else None

    def __call__(self, image):
        raise AssertionError("a verdict is on what was found")


def found(score: float | None = None, alarm: float | None = None) -> Found:
    return Found(MAP, MAP > 0.5, score=score, alarm=alarm)


def test_a_calibrated_verdict_says_what_its_numbers_mean() -> None:
    made = verdict(Calibrated(photographs=600), found(0.912, 0.04))
    assert (made.level, made.row, made.score, made.alarm, made.photographs) == ("suspicious", "sgt", 0.912, 0.04, 600)
    assert made.interval == clopper_pearson(24, 600)
    assert "It rests on this row alone" in made.caution
    assert made.sentence.startswith("Of 100 authentic photographs, 4 look as suspicious as this one (3 to 6 with ")
    assert "measured on 600 photographs" in made.sentence and made.sentence.endswith("would be 91 %.")


def test_where_it_was_put_to_the_test_is_said() -> None:
    row = Calibrated(photographs=600)
    assert "put to the test" not in verdict(row, found(0.9, 0.04)).caution
    row.calibration = dataclasses.replace(row.calibration, checked=np.array([24, 200]))  # type: ignore[type-var]
    low, high = (round(100 * end) for end in clopper_pearson(24, 200))
    said = (
        f"On 200 other authentic photographs it was put to the test: 12 of 100 ({low} to {high} with 95 % confidence) "
    )
    assert said + "looked as suspicious as 5 of 100 should." in verdict(row, found(0.9, 0.04)).caution


@pytest.mark.parametrize("of_kind", [0, 1, 99, 100, 150])
def test_of_this_kind_is_said_only_where_a_hundred_of_the_kind_were_counted(of_kind: int) -> None:
    kinds = ["camera"] * 380 + ["other jpeg"] * of_kind + ["camera"] * 20  # 20 of all score higher than any of the kind
    row = Calibrated(len(kinds), kinds)
    made = verdict(row, found(0.9, 30 / len(kinds)), "other jpeg")
    assert made.alarm == 30 / len(kinds) and made.kind == "other jpeg" and made.kind_photographs == of_kind
    counted = of_kind >= 100
    assert ("of this kind" in made.sentence) == counted
    assert ("too few to compare" in made.caution) == (not counted)
    assert made.interval == clopper_pearson(30, len(kinds))
    if counted:
        assert made.kind_alarm == 10 / of_kind and made.kind_interval == clopper_pearson(10, of_kind)
        assert made.level == "unusual"  # By its own kind.
        assert "of 100 of all kinds, " in made.sentence and f"measured on {of_kind} photographs" in made.sentence
    else:
        assert made.kind_alarm is made.kind_interval is None
        assert made.sentence.startswith("Of 100 authentic photographs, ")


def test_where_kinds_were_not_recorded_nothing_is_said_of_them() -> None:
    made = verdict(Calibrated(600), found(0.9, 0.04), "camera")
    assert "kind" not in made.sentence + made.caution and made.kind_photographs is None


def test_the_packaged_model_says_of_this_kind_only_of_kinds_it_counted() -> None:
    row: Any = splice_jax.localizer("sgt")
    for kind in KINDS:
        counted = int((row.calibration.kinds == kind).sum())
        assert ("of this kind" in verdict(row, found(0.5, 0.5), kind).sentence) == (counted >= 100)


def test_without_the_number_of_photographs_there_is_no_interval() -> None:
    made = verdict(Calibrated(), found(alarm=0.5))
    assert (made.level, made.interval) == ("ordinary", None)
    assert made.sentence == "Of 100 authentic photographs, 50 look as suspicious as this one."


@pytest.mark.parametrize(
    ("alarm", "level"), [(0, "suspicious"), (0.05, "suspicious"), (0.2, "unusual"), (1, "ordinary")]
)
def test_levels(alarm: float, level: str) -> None:
    assert verdict(Calibrated(photographs=100), found(0.5, alarm)).level == level


def test_without_a_score_it_says_so() -> None:
    for made in (verdict(None, None), verdict(Calibrated(), found()), verdict(Calibrated(), None)):
        assert made.level == "none" and made.headline.startswith("No verdict: ")
        assert made.score is made.alarm is made.interval is None
