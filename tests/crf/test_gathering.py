"""What several threads want refined is refined together."""

import threading
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


def test_all_who_take_part_are_served_by_one_batch_of_each_kind() -> None:
    batches: list[tuple[str, int]] = []

    def halved(kind, images, maps):
        batches.append((kind, len(images)))
        return [each / 2 for each in maps]

    gathering, all_here = Gathering(halved), threading.Barrier(5)

    def ask(number: int) -> float:
        with gathering.part():
            all_here.wait()
            return float(gathering.refine("odd" if number % 2 else "even", IMAGE, level(number))[0, 0])

    with ThreadPoolExecutor(5) as threads:
        assert list(threads.map(ask, range(5))) == [0, 0.5, 1, 1.5, 2]
    assert sorted(batches) == [("even", 3), ("odd", 2)]


def test_who_leaves_without_asking_holds_nobody_up() -> None:
    gathering, both_here = Gathering(lambda kind, images, maps: list(maps)), threading.Barrier(2)

    def leave() -> None:
        with gathering.part():
            both_here.wait()
            waiting.wait()

    def ask() -> float:
        with gathering.part():
            both_here.wait()
            threading.Timer(0.05, waiting.set).start()
            return float(gathering.refine("", IMAGE, level(0.5))[0, 0])

    waiting = threading.Event()
    with ThreadPoolExecutor(2) as threads:
        gone, asked = threads.submit(leave), threads.submit(ask)
        assert asked.result(20) == 0.5
        gone.result(20)


def test_a_map_that_cannot_be_refined_fails_alone() -> None:
    def refined(kind, images, maps):
        if any(np.isnan(each).any() for each in maps):
            raise ValueError("the probability map holds NaN")
        return list(maps)

    gathering, all_here = Gathering(refined), threading.Barrier(3)

    def ask(value: float) -> float:
        with gathering.part():
            all_here.wait()
            return float(gathering.refine("", IMAGE, level(value))[0, 0])

    with ThreadPoolExecutor(3) as threads:
        first, broken, last = (threads.submit(ask, value) for value in (0.25, np.nan, 0.75))
        assert (first.result(20), last.result(20)) == (0.25, 0.75)
        with pytest.raises(ValueError, match="NaN"):
            broken.result(20)


def test_refine_gathers_within_a_part_only() -> None:
    image = scene(20, 30, 1)
    [probability] = maps_of([image])
    alone = crf.refine("jax", image, probability, CrfParameters())
    gathering = crf.gathering()
    with gathering.part():
        assert current() is gathering
        np.testing.assert_allclose(crf.refine("jax", image, probability, CrfParameters()), alone, atol=1e-6)
    assert current() is None
