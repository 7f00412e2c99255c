"""The verdict's sentence and its interval."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from splice_jax.examination.verdict import clopper_pearson, verdict
from splice_jax.methods import Found, Localizer

MAP = np.zeros((2, 3), np.float32)


class Calibrated(Localizer):
    """A row with a calibration."""

    name = "sgt"

    def __init__(self, **calibration: Any) -> None:
        self.calibration = calibration

    def __call__(self, image):
        raise NotImplementedError


def found(score: float | None = None, alarm: float | None = None) -> Found:
    return Found(MAP, MAP > 0.5, score=score, alarm=alarm)


@pytest.mark.parametrize("successes", [0, 1, 4, 50, 99, 100])
def test_the_interval_is_that_of_scipys_exact_test(successes: int) -> None:
    expected = stats.binomtest(successes, 100).proportion_ci(0.95, "exact")
    assert clopper_pearson(successes, 100) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_interval_covers_at_least_as_often_as_it_says() -> None:
    for share in (0.01, 0.05, 0.3):
        counts = np.arange(61)
        inside = [low <= share <= high for low, high in (clopper_pearson(int(count), 60) for count in counts)]
        assert stats.binom.pmf(counts, 60, share)[inside].sum() >= 0.95


@pytest.mark.parametrize(("successes", "trials"), [(-1, 5), (6, 5), (0, 0)])
def test_what_is_no_share_is_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        clopper_pearson(successes, trials)


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
