"""Which rows an evaluation is of."""

from pathlib import Path

import pytest

import splice_jax
from splice_jax.errors import UserError
from splice_jax.evaluation.runs import Run, runs_by_row
from splice_jax.evaluation.selection import open_rows, row_names, with_usable_crf
from splice_jax.methods import Localizer, localizer
from splice_jax.runs.configuration import save_config
from tests.evaluation.configurations import config


def named(row: str) -> Localizer:
    """A localizer that does not matter, by another name."""
    found = localizer("random")
    found.name = row
    return found


@pytest.mark.parametrize(
    ("methods", "backend", "expected"),
    [
        ("", "none", ["sgn", "all_spliced", "random"]),
        ("random", "none", ["random", "all_spliced"]),
        ("sgn, sgn", "none", ["sgn", "all_spliced", "random"]),
        pytest.param("", "jax", ["sgn", "sgn+crf", "all_spliced", "random"]),
        pytest.param("random+crf", "jax", ["random+crf", "all_spliced", "random"]),
    ],
)
def test_rows_are_the_runs_own_or_those_named_and_always_the_trivial(
    monkeypatch: pytest.MonkeyPatch, methods: str, backend: str, expected: list[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(vars(splice_jax), "load", lambda *_, row, **__: named(row))
    settings = config(methods=methods, crf={"backend": backend})
    runs = {"sgn": Run(tmp_path, settings, settings)}
    chosen = open_rows(row_names(settings, runs), settings, runs).rows
    assert [row.name for row in chosen] == expected


def test_one_run_may_hold_two_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(vars(splice_jax), "load", lambda *_, row, **__: named(row))
    settings = config(method="mfcn", methods="mfcn_edge,mfcn", crf={"backend": "none"})
    save_config(settings, tmp_path)
    runs = runs_by_row(settings, tmp_path)
    chosen = open_rows(row_names(settings, runs), settings, runs).rows
    assert [row.name for row in chosen] == ["mfcn_edge", "mfcn", "all_spliced", "random"]


def test_wrong_rows_are_named() -> None:
    runs = {"sgn": Run(Path("run"), config(), config())}
    with pytest.raises(UserError, match="--config.methods: names no row, and there is no run; choose from .*noi1"):
        row_names(config(method="", methods=""), {})
    with pytest.raises(UserError, match=r"--config.methods: no row is called 'noi9'; there are .*all_spliced.*sgn"):
        row_names(config(methods="noi9"), runs)
    with pytest.raises(UserError, match=r"no row is called 'sgn\+jax'"):
        row_names(config(methods="sgn+jax"), runs)
    with pytest.raises(UserError, match=r"a row with \+crf needs a CRF"):
        row_names(config(methods="sgn+crf"), runs)
    with pytest.raises(UserError, match=r"crf\.backend: 'dense' is not known"):
        with_usable_crf(config(crf={"backend": "dense"}), ["sgn+crf"])


@pytest.mark.usefixtures("without_pydensecrf")
def test_the_backend_is_changed_only_where_rows_need_one_that_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    given = config(crf={"backend": "pydensecrf"})
    assert with_usable_crf(given, ["sgn", "random"]) == given
    assert capsys.readouterr().err == ""
    changed = with_usable_crf(given, ["sgn", "sgn+crf"])
    assert (given.crf.backend, changed.crf.backend) == ("pydensecrf", "jax")
    assert changed == config(crf={"backend": "jax"})
