"""Exit codes and the one line."""

import importlib
import os
import signal
import subprocess
import sys

import pytest

from splice_jax.errors import Terminated, UserError, absent, listed, one_line, printable, run, stopping


def raising(error: BaseException):
    def main() -> int:
        raise error

    return main


@pytest.mark.parametrize(
    ("main", "code", "line"),
    [
        (lambda: None, 0, ""),
        (lambda: 2, 2, ""),
        (raising(UserError("a.png: broken\n  at byte 3; copy it")), 2, "error: a.png: broken at byte 3; copy it\n"),
        (raising(KeyboardInterrupt()), 130, "interrupted\n"),
        (raising(KeyboardInterrupt("saved")), 130, "interrupted: saved\n"),
        (raising(Terminated("saved")), 143, "terminated: saved\n"),
    ],
)
def test_exit_code_and_line(capsys, main, code, line):
    with pytest.raises(SystemExit) as caught:
        run(main)
    assert caught.value.code == code
    assert capsys.readouterr().err == line


def test_a_mistake_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run(raising(ZeroDivisionError()))


def test_names_from_a_file_are_shown_without_control_characters_and_cut():
    assert listed(["a\x1b[31m", "b\nc", "d" * 200]) == f"a?[31m, b?c, {'d' * 100}..."
    assert listed(map(str, range(9)), most=2) == "0, 1 and 7 more"
    assert (listed([]), printable("Größe " * 16)) == ("", "Größe " * 16)


def test_what_a_file_blows_up_is_cut() -> None:
    text = one_line(UserError(f"a.json: {'x' * 10**6}: no such field; remove it"))
    assert len(text) < 2100 and text.startswith("a.json: xxx") and text.endswith("no such field; remove it")


@pytest.mark.parametrize(("number", "code", "said"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")])
def test_an_interrupt_that_falls_into_a_callback_is_not_lost(number: str, code: int, said: str) -> None:
    source = (
        "import gc, os, signal, time\nfrom splice_jax.errors import run\n"
        "def callback(*_):\n"
        f"    gc.callbacks.clear(); os.kill(os.getpid(), signal.{number}); time.sleep(1)\n"
        "def main():\n"
        "    gc.callbacks.append(callback)\n    gc.collect()\n    time.sleep(30)\n"
        "run(main)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (code, f"{said}\n")


def test_a_request_to_end_is_noted_and_a_second_interrupt_ends_at_once():
    with stopping() as stop:
        assert stop.asked is None
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Terminated, match="^done$"):
            stop.leave("done")
    code = "import os, signal, time\nfrom splice_jax.errors import stopping\nwith stopping():\n"
    code += "    for _ in range(2): os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(60)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_a_package_is_absent_within_a_block_unless_it_was_there_before(tmp_path, monkeypatch):
    (tmp_path / "made_up.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with absent("made_up"), pytest.raises(ImportError):
        importlib.import_module("made_up")
    there = importlib.import_module("made_up")
    with absent("made_up"):
        assert importlib.import_module("made_up") is there
    monkeypatch.delitem(sys.modules, "made_up")
