"""The verdict's sentence and its interval."""

import numpy as np
import pytest

from splice_jax.examination.verdict import verdict
from splice_jax.methods import Found, Localizer
from splice_jax.metrics import clopper_pearson
from splice_jax.weights.calibration import Calibration

MAP = np.zeros((2, 3), np.float32)


class Calibrated(Localizer):
    """A row with a calibration."""

    name = "sgt"

    def __init__(self, photographs: int | None = None) -> None:
        self.calibration = photographs and Calibration(0, 0, 1, 0, np.zeros(photographs, np.float32))

    def __call__(self, image):
        raise NotImplementedError


def found(score: float | None = None, alarm: float | None = None) -> Found:
    return Found(MAP, MAP > 0.5, score=score, alarm=alarm)


def test_a_calibrated_verdict_says_what_its_numbers_mean() -> None:
    made = verdict(Calibrated(photographs=600), found(0.912, 0.04))
    assert (made.level, made.row, made.score, made.alarm, made.photographs) == ("suspicious", "sgt", 0.912, 0.04, 600)
    assert made.interval == clopper_pearson(24, 600)
    assert made.sentence.startswith("Of 100 authentic photographs, 4 look as suspicious as this one (2.6 to 5.9 with ")
    assert "measured on 600 photographs" in made.sentence and made.sentence.endswith("would be 91 %.")


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
