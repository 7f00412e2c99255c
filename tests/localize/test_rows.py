"""Which rows are asked for, and that they are loaded."""

from pathlib import Path
from typing import Any

import pytest

from splice_jax.errors import UserError
from splice_jax.localize import choose_rows, load_rows
from splice_jax.methods import names
from splice_jax.methods.refined import Refined
from splice_jax.runs.builtin import builtin, default


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """As much of a run of `mfcn_edge` as says which rows it holds."""
    config = default.get_config()
    config.method = "mfcn_edge"
    (tmp_path / "config.json").write_text(config.to_json())
    return tmp_path


def test_names_are_those_of_the_run_and_those_that_need_none(run: Path) -> None:
    assert choose_rows(None, "noi4") == ([], ["noi4"])
    assert choose_rows(None, " cfa1,noi4,,cfa1") == ([], ["cfa1", "noi4"])
    assert choose_rows(run, None) == ([""], [])
    assert choose_rows(None, None) == choose_rows(None, "sgt") == choose_rows(run, "sgt") == ([], ["sgt"])
    assert choose_rows(run, "noi4,mfcn") == (["mfcn"], ["noi4"])
    assert choose_rows(run, "mfcn_edge,other") == (["mfcn_edge", "other"], [])


def test_all_are_all(run: Path) -> None:
    assert choose_rows(None, "all") == choose_rows(None, "noi4,all") == ([], names())
    assert choose_rows(run, "all") == (["mfcn_edge", "mfcn"], names())
    with pytest.raises(UserError, match="absent: no such folder"):
        choose_rows(run / "absent", "all")


def test_a_run_of_the_packaged_method_is_preferred_to_the_package(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(builtin("sgt").to_json())
    assert choose_rows(tmp_path, "sgt,noi4") == (["sgt"], ["noi4"])


def test_of_several_each_has_an_infix(run: Path) -> None:
    assert choose_rows(run, None).infixes == choose_rows(None, "noi4").infixes == [""]
    assert choose_rows(run, "noi4,mfcn").infixes == [".mfcn", ".noi4"]


def test_rows_of_a_run_and_others_are_loaded(tiny_run: Any) -> None:
    rows = choose_rows(tiny_run.workdir, "noi4,sgn")
    for labels in (True, False):
        loaded = load_rows(rows, tiny_run.workdir, labels=labels)
        assert [row.name for row in loaded] == ["sgn", "noi4"]
        assert loaded[0].labels == labels
    with pytest.raises(UserError, match="holds no row 'mfcn'; it has sgn"):
        load_rows(choose_rows(tiny_run.workdir, "mfcn,noi4"), tiny_run.workdir)
    refined = load_rows(choose_rows(None, "noi4,ela"), None, crf="jax")
    assert [(type(row), row.name) for row in refined] == [(Refined, "noi4"), (Refined, "ela")]
