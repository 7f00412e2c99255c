import os
import signal
import threading
from collections.abc import Iterator

import pytest

from splice_jax.errors import UserError
from splice_jax.workers import executor, in_order, reading_ahead


def double_or_die(number: int) -> int:
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def test_a_worker_that_dies_is_one_clear_line() -> None:
    with executor(1) as workers, pytest.raises(UserError, match="a worker process was ended from outside") as caught:
        list(in_order(workers, double_or_die, range(20)))
    assert "\n" not in str(caught.value)


def test_results_keep_the_order_of_what_was_given() -> None:
    for processes in (0, 2):
        with executor(processes) as workers:
            assert list(in_order(workers, abs, range(-9, 0), ahead=3)) == list(range(9, 0, -1))


def test_what_is_done_does_not_wait_for_more() -> None:
    begun: list[int] = []

    def begin(number: int) -> int:
        begun.append(number)
        return number

    with executor(0) as workers:
        for result in in_order(workers, begin, range(3), ahead=9):
            assert begun[-1] == result


def test_the_next_is_read_while_one_is_worked_on_and_no_more() -> None:
    taken: list[int] = []
    second_read = threading.Event()

    def read(number: int) -> int:
        if number == 1:
            second_read.set()
        return number

    def numbers() -> Iterator[int]:
        for number in range(6):
            taken.append(number)
            yield number

    for number in reading_ahead(read, numbers()):
        assert second_read.wait(60)  # while the first is still worked on
        assert max(taken) <= number + 1
    assert taken == list(range(6))


def test_what_reading_raises_is_raised() -> None:
    def read(number: int) -> int:
        raise UserError(f"{number}: broken")

    with pytest.raises(UserError, match="3: broken"):
        list(reading_ahead(read, [3]))
