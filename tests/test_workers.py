"""Work over several processes comes back in order, and no process outlives the one that started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from splice_jax.workers import executor, in_order

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


def test_results_are_in_the_order_of_the_tasks():
    for processes in (0, 2):
        with executor(processes) as workers:
            assert list(in_order(workers, abs, range(-9, 0), ahead=2)) == list(range(9, 0, -1))


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
