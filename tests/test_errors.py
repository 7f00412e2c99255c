"""Exit codes and the one line."""

import pytest

from splice_jax.errors import UserError, listed, one_line, printable, run


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
