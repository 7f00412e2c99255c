import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from splice_jax.data import Example
from splice_jax.evaluation.calibrate import (
    SHIFTS,
    Judged,
    balanced_logistic,
    calibrate,
    gate_for,
    judge,
    worth,
)
from splice_jax.images import read_image, upright
from splice_jax.weights.calibration import Calibration


def judged(seed: int, spliced: bool = False, level: float = -4.0) -> Judged:
    """Noise about a level; a spliced square stands out of it, and the image's own logit follows."""
    random = np.random.default_rng(seed)
    logits, truth = random.normal(level, 1.5, (30, 40)).astype(np.float32), np.zeros((30, 40), bool)
    if spliced:
        truth[8:20, 10:25] = True
        logits[truth] += 4
    return Judged(logits, float(random.normal(1.0 if spliced else -1.0, 1.5)), truth)


INNOCENT = [judged(seed, level=-4 + seed / 40) for seed in range(60)]
SPLICED = [[judged(100 + seed, True) for seed in range(8)], [judged(200 + seed, True, -6) for seed in range(5)]]


def alarms(found: list[Judged], shift: float, gate: float) -> int:
    """How many pictures have over 1 % marked."""
    return sum((of(shift, gate).of_map(each.logits, each.image) > 0).mean() > 0.01 for each in found)


@pytest.mark.parametrize("shift", [-1.0, 0.0, 2.0])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.25])
def test_the_gate_lets_just_the_given_share_of_innocent_photographs_give_an_alarm(shift: float, rate: float) -> None:
    gate, allowed = gate_for(INNOCENT, shift, rate), int(rate * 60)
    assert alarms(INNOCENT, shift, gate) <= allowed
    if alarms(INNOCENT, shift, -100) > allowed:
        assert alarms(INNOCENT, shift, gate - 0.001) > allowed
    assert alarms(INNOCENT, shift, gate) == sum(each.gives_an_alarm(of(shift, gate)) for each in INNOCENT)


def test_quiet_maps_need_no_gate() -> None:
    assert gate_for(INNOCENT, -50) == -100


def of(shift: float, gate: float) -> Calibration:
    return Calibration(shift, gate, 1.0, 0.0, np.zeros(1, np.float32))


def test_f1_is_scikit_learn_s() -> None:
    for each in (*SPLICED[0], INNOCENT[0]):
        marked = of(4.5, 0.5).of_map(each.logits, each.image) >= 0
        expected = f1_score(each.truth.ravel(), marked.ravel(), zero_division=1.0)
        assert each.f1(of(4.5, 0.5)) == pytest.approx(expected)


def test_the_logistic_line_is_scikit_learn_s_with_balanced_classes() -> None:
    random = np.random.default_rng(0)
    positive, negative = random.normal(1, 1.5, 80), random.normal(-0.5, 1, 300)
    model = LogisticRegression(C=1e9, class_weight="balanced", tol=1e-8)
    model.fit(np.concatenate([positive, negative])[:, None], np.repeat([1, 0], [80, 300]))
    assert balanced_logistic(positive, negative) == pytest.approx(
        (model.coef_.item(), model.intercept_.item()), abs=2e-3
    )


def test_calibration_takes_the_shift_of_the_best_mean_over_sets() -> None:
    authentic = [judged(seed) for seed in range(300, 320)]
    found = calibrate(INNOCENT, SPLICED, authentic)
    by_shift = {shift: worth(of(shift, gate_for(INNOCENT, shift)), SPLICED) for shift in SHIFTS}
    means = [np.mean([each.f1(found) for each in images]) for images in SPLICED]
    assert np.mean(means) == pytest.approx(by_shift[found.map_shift])
    assert by_shift[found.map_shift] == max(by_shift.values()) > min(by_shift.values())
    assert found.map_gate == gate_for(INNOCENT, found.map_shift)
    assert alarms(INNOCENT, found.map_shift, found.map_gate) <= 6
    np.testing.assert_array_equal(found.authentic, np.sort(np.array([each.image for each in INNOCENT], np.float32)))
    positive = np.array([each.image for images in SPLICED for each in images])
    negative = np.array([each.image for each in (*INNOCENT, *authentic)])
    assert (found.slope, found.intercept) == balanced_logistic(positive, negative)
    assert found.slope > 0 and found.score(positive.mean()) > 0.5 > found.score(negative.mean())


def test_kinds_follow_their_photographs() -> None:
    kinds = [f"kind {seed % 3}" for seed in range(60)]
    found = calibrate(INNOCENT, SPLICED, INNOCENT, kinds=kinds)
    for kind in set(kinds):
        own = np.sort([np.float32(each.image) for each, of in zip(INNOCENT, kinds, strict=True) if of == kind])
        np.testing.assert_array_equal(found.authentic[found.kinds == kind], own)
    assert calibrate(INNOCENT, SPLICED, INNOCENT).kinds.size == 0


class Looking:
    """In the place of a localizer: its logits are the brightness of 4x4 pixels, as the file stores them."""

    def judge(self, reading: Any) -> Any:
        rows, columns = reading.blocks
        means = reading.image[..., 0].reshape(2 * rows, 4, 2 * columns, 4).mean((1, 3)).astype(np.float32)
        return means, float(means.mean()), np.ones((rows, columns), bool)


def test_the_truth_lies_where_the_logits_do_however_a_file_is_turned() -> None:
    stored = np.full((44, 70, 3), 20, np.uint8)
    stored[8:22, 16:40] = 200
    for orientation in range(1, 9):
        exif, file = Image.Exif(), io.BytesIO()
        exif[0x0112] = orientation
        Image.fromarray(stored).save(file, "JPEG", quality=95, exif=exif)
        image = read_image(file.getvalue())
        mask = upright(stored[..., 0] == 200, orientation)
        localizer: Any = Looking()
        (found,) = judge(localizer, [Example(image, mask, "a", False, file.getvalue())])
        assert found.logits.shape == found.truth.shape == (10, 16)
        whole = found.truth[:5]  # its lower edge lies in the middle of a square, which is no more than half spliced
        np.testing.assert_array_equal(whole, found.logits[:5] > 110)
        assert not found.truth[5:].any()
