import numpy as np
import pytest
from scipy import special, stats

from splice_jax.weights.calibration import FAINT, STEEPNESS, Calibration

LEVELS = np.sort(np.random.default_rng(0).normal(-2, 1, 200)).astype(np.float32)
CALIBRATION = Calibration(-0.5, 0.25, 1.5, 0.7, LEVELS)


def test_a_map_is_shifted_and_below_the_gate_lowered_steeply() -> None:
    logits = np.random.default_rng(1).normal(0, 2, (4, 5)).astype(np.float32)
    for image_logit, expected in ((3.0, -0.5), (0.25, -0.5), (0.15, -0.5 - 0.1 * STEEPNESS)):
        found = CALIBRATION.of_map(logits, image_logit)
        np.testing.assert_allclose(found, logits + expected, rtol=1e-5, atol=1e-5)
        assert found.dtype == np.float32


def test_far_below_the_gate_nothing_is_marked_and_16_bits_still_rank_the_pixels() -> None:
    logits = np.linspace(-5, 6, 500, dtype=np.float32)
    for image_logit in (-1.5, -1e6):
        found = CALIBRATION.of_map(logits, image_logit)
        assert found.max() == pytest.approx(FAINT, abs=1e-5)
        levels = np.rint(65535 * special.expit(found[250::10]))
        assert (np.diff(levels) > 0).all()
    quiet = logits - 20  # fainter than that already
    np.testing.assert_allclose(CALIBRATION.of_map(quiet, -1e6), quiet - 0.5, atol=1e-5)


def test_a_score_is_a_probability() -> None:
    for logit in (-3.0, 0.0, 0.4, 5.0):
        assert CALIBRATION.score(logit) == pytest.approx(special.expit(1.5 * logit + 0.7))
    assert 0 < CALIBRATION.score(-1e9) < 1e-12 and CALIBRATION.score(1e9) == pytest.approx(1)


def test_an_alarm_is_the_share_of_authentic_photographs_that_score_as_high() -> None:
    for logit in (-9.0, -2.3, -2.0, 0.1, 9.0):
        assert CALIBRATION.alarm(logit) == pytest.approx(1 - stats.percentileofscore(LEVELS, logit, "strict") / 100)
    assert CALIBRATION.alarm(float(LEVELS[-1])) == 1 / 200 and CALIBRATION.alarm(float(LEVELS[0])) == 1


def test_a_kind_is_counted_among_its_own() -> None:
    kinds = np.array(["camera", "no jpeg"])[np.random.default_rng(2).integers(2, size=200)]
    calibration = Calibration(-0.5, 0.25, 1.5, 0.7, LEVELS, kinds)
    for logit in (-9.0, float(LEVELS[120]), 9.0):
        for kind in ("camera", "no jpeg"):
            own = LEVELS[kinds == kind]
            assert calibration.counted(kind, calibration.alarm(logit)) == ((own >= logit).sum(), len(own))
    assert CALIBRATION.counted("camera", 0.5) == (0, 0)
