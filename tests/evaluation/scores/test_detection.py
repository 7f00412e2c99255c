"""Image-level scores, by counting."""

import numpy as np
import pytest

from splice_jax.evaluation.scores.detection import ALARM, RATE, false_alarm_step, image_level, summarize
from splice_jax.evaluation.scores.image import threshold_of
from splice_jax.metrics import LEVELS


def levels_of(rng: np.random.Generator, scale: float) -> np.ndarray:
    return np.rint(LEVELS * rng.random((40, 50)) ** (1 / scale)).astype(np.uint16)


def alarms(levels: np.ndarray, threshold: float) -> bool:
    return (levels >= np.rint(threshold * LEVELS)).mean() > ALARM


def test_the_peak_is_the_highest_level_that_raises_an_alarm():
    levels = levels_of(np.random.default_rng(0), 0.3)
    peak = image_level(levels, spliced=False).peak
    assert alarms(levels, peak / LEVELS) and not alarms(levels, (peak + 1) / LEVELS)


def test_the_step_is_the_lowest_threshold_with_few_enough_alarms():
    rng = np.random.default_rng(1)
    maps = [levels_of(rng, scale) for scale in rng.uniform(0.05, 1, 37)]
    step = false_alarm_step([image_level(each, spliced=False) for each in maps])
    assert step is not None
    threshold = threshold_of(step)
    assert np.mean([alarms(each, threshold) for each in maps]) <= RATE
    assert np.mean([alarms(each, threshold - 1 / LEVELS) for each in maps]) > RATE


def test_spliced_images_have_no_say():
    rng = np.random.default_rng(2)
    authentic = [image_level(levels_of(rng, 0.2), spliced=False) for _ in range(5)]
    spliced = [image_level(levels_of(rng, 5), spliced=True) for _ in range(5)]
    assert false_alarm_step(authentic + spliced) == false_alarm_step(authentic)
    assert false_alarm_step(spliced) is None


@pytest.mark.parametrize("at_rate", [None, {"threshold": 0.5, "f1": 0.25}])
def test_what_is_scored_at_the_rate_stands_in_the_summary(at_rate):
    images = [image_level(np.full((4, 4), level, np.uint16), spliced=level > 99) for level in (3, 100)]
    found = summarize(images, seed=0, at_rate=at_rate)
    assert found is not None
    assert found["at_false_alarms"] == (at_rate and {"rate": RATE, **at_rate})
