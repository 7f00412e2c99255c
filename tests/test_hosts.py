"""What processes say to each other, and what is refused before they do."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from splice_jax import hosts
from splice_jax.errors import UserError

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_shares_lose_and_double_nothing(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    shares = []
    for index in range(count):
        monkeypatch.setattr(hosts, "_group", hosts._Group(index, count, None))
        shares.append(hosts.share(range(7)))
    assert sorted(sum(shares, [])) == list(range(7))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1


def test_one_process_is_its_own_group() -> None:
    with hosts.together():
        assert (hosts.index(), hosts.count(), hosts.is_first(), hosts.gather({"a": 1})) == (0, 1, True, [{"a": 1}])
        hosts.meet()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", 2, 0), "--num-processes, --process-id: need --coordinator"),
        (("auto", None, 1), "--num-processes, --process-id: need --coordinator"),
        (("host", 2, 0), "--coordinator: 'host' is neither HOST:PORT nor auto"),
        (("host:99999", 2, 0), "--coordinator: 'host:99999' is neither"),
        (("host:1234", 2, None), "--coordinator: give --num-processes and --process-id with it"),
        (("host:1234", 2, 2), "--process-id: 2 is not from 0 to 1"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(UserError) as caught:
        hosts.check(*arguments)
    assert str(caught.value).startswith(message)


class Service:
    """A runtime to which everyone is alive."""

    def get_live_nodes(self, everyone: list[int]) -> list[int]:
        return everyone


def test_a_process_that_is_gone_before_devices_are_connected_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise type("JaxRuntimeError", (RuntimeError,), {})("connection closed by peer")

    monkeypatch.setattr(hosts, "_joined", lambda *_: hosts._Group(0, 2, Service()))
    monkeypatch.setattr(hosts, "_connect", fail)
    monkeypatch.setattr(hosts, "_TO_BE_NAMED", 0)
    with (
        pytest.raises(UserError, match="another process is gone .connection closed by peer"),
        hosts.together("a:1", 2, 0),
    ):
        pass
    assert hosts.count() == 1


SUMMING = """
import sys
import jax, numpy
from splice_jax import errors, hosts, runtime

def main():
    runtime.set_up(1)
    with hosts.together(sys.argv[1], 2, int(sys.argv[2])):
        total = jax.pmap(lambda one: jax.lax.psum(one, "devices"), "devices")
        hosts.meet()
        print("summing", file=sys.stderr, flush=True)
        while True:
            jax.block_until_ready(total(numpy.ones(1)))

errors.run(main)
"""


def test_where_process_0_is_killed_the_other_ends_with_a_line_that_says_so() -> None:
    """Gloo fails first, in Python; then the runtime, which would abort this process without a word of ours."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-c", SUMMING, address]
    first, other = (
        subprocess.Popen([*command, str(number)], stderr=subprocess.PIPE, text=True, cwd=ROOT) for number in range(2)
    )
    for process in (first, other):
        assert process.stderr
        while "summing" not in (line := process.stderr.readline()):
            assert line, "ended by itself"
    first.kill()
    said = other.communicate(timeout=60)[1]
    first.communicate()
    assert other.returncode == 2
    assert re.match(r"error: process 0 .*is gone.*start all processes again", said.splitlines()[-1])
