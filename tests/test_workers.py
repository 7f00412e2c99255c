"""Work over several processes comes back in order, and no process outlives the one that started it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from splice_jax.errors import UserError
from splice_jax.workers import executor, in_order, reading_ahead

PROGRAM = """
import os, time
from splice_jax.workers import executor
if __name__ == "__main__":
    workers = executor(2)
    print(*{future.result() for future in [workers.submit(os.getpid) for _ in range(20)]}, flush=True)
    workers.submit(time.sleep, 600)
    time.sleep(600)
"""


def runs(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"  # A dead process that nobody has waited for yet runs no more.


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    parent = subprocess.Popen([sys.executable, tmp_path / "program.py"], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(number) for number in parent.stdout.readline().split()]
    assert workers and all(map(runs, workers))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 30
    while any(map(runs, workers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        assert not any(map(runs, workers))
    finally:
        for worker in filter(runs, workers):
            os.kill(worker, signal.SIGKILL)


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


def test_an_exception_ends_work_that_nobody_wants_any_more() -> None:
    with pytest.raises(KeyboardInterrupt), executor(1) as workers:
        process = workers.submit(os.getpid).result()
        workers.submit(time.sleep, 600)
        waiting = workers.submit(time.sleep, 600)
        raise KeyboardInterrupt
    assert not runs(process)
    assert waiting.done()


def blocked(_: int) -> bool:
    return {signal.SIGINT, signal.SIGTERM} <= signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_signals_reach_the_parent_alone() -> None:
    with executor(1) as workers:
        assert list(in_order(workers, blocked, [0])) == [True]
    assert not blocked(0)
