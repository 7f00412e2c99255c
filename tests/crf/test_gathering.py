"""What several threads want refined is refined together."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from splice_jax import crf
from splice_jax.crf import CrfParameters
from splice_jax.crf.gathering import Gathering, current
from tests.crf.test_mean_field import scene
from tests.crf.test_on_device import maps_of

IMAGE = np.zeros((2, 2, 3), np.uint8)


def level(value: float) -> np.ndarray:
    return np.full((2, 2), value, np.float32)


def come(gathering: Gathering, parts: int) -> None:
    """Waits, while it is one's turn, until so many take part."""
    while gathering._parts < parts:
        time.sleep(0.001)


def test_all_who_take_part_are_served_by_one_batch_of_each_kind() -> None:
    batches: list[tuple[str, int]] = []

    def halved(kind, images, maps):
        batches.append((kind, len(images)))
        return [each / 2 for each in maps]

    gathering = Gathering(halved)

    def ask(number: int) -> float:
        with gathering.part():
            come(gathering, 5)
            return float(gathering.refine("odd" if number % 2 else "even", IMAGE, level(number))[0, 0])

    with ThreadPoolExecutor(5) as threads:
        found = [threads.submit(ask, number) for number in range(5)]
        assert [each.result(20) for each in found] == [0, 0.5, 1, 1.5, 2]
    assert sorted(batches) == [("even", 3), ("odd", 2)]


def test_who_leaves_without_asking_holds_nobody_up() -> None:
    gathering, leaving = Gathering(lambda kind, images, maps: list(maps)), threading.Event()

    def leave() -> None:
        with gathering.part():
            come(gathering, 2)
            leaving.set()

    def ask() -> float:
        with gathering.part():
            if not leaving.is_set():
                come(gathering, 2)
            return float(gathering.refine("", IMAGE, level(0.5))[0, 0])

    with ThreadPoolExecutor(2) as threads:
        asked, left = threads.submit(ask), threads.submit(leave)
        assert asked.result(20) == 0.5
        left.result(20)


def test_a_map_that_cannot_be_refined_fails_alone() -> None:
    def refined(kind, images, maps):
        if any(np.isnan(each).any() for each in maps):
            raise ValueError("the probability map holds NaN")
        return list(maps)

    gathering = Gathering(refined)

    def ask(value: float) -> float:
        with gathering.part():
            come(gathering, 3)
            return float(gathering.refine("", IMAGE, level(value))[0, 0])

    with ThreadPoolExecutor(3) as threads:
        first, broken, last = (threads.submit(ask, value) for value in (0.25, np.nan, 0.75))
        assert (first.result(20), last.result(20)) == (0.25, 0.75)
        with pytest.raises(ValueError, match="NaN"):
            broken.result(20)


def test_an_interrupt_while_maps_are_refined_leaves_nobody_waiting() -> None:
    def interrupted(kind, images, maps):
        raise KeyboardInterrupt

    gathering = Gathering(interrupted)

    def ask() -> None:
        with gathering.part():
            come(gathering, 2)
            gathering.refine("", IMAGE, level(0.5))

    with ThreadPoolExecutor(2) as threads:
        errors = {type(each.exception(20)) for each in [threads.submit(ask), threads.submit(ask)]}
    assert errors == {KeyboardInterrupt, RuntimeError}


def test_refine_gathers_within_a_part_only() -> None:
    image = scene(20, 30, 1)
    [probability] = maps_of([image])
    alone = crf.refine("jax", image, probability, CrfParameters())
    gathering = crf.gathering()
    with gathering.part():
        assert current() is gathering
        np.testing.assert_allclose(crf.refine("jax", image, probability, CrfParameters()), alone, atol=1e-6)
    assert current() is None
