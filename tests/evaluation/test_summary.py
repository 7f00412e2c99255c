import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest

from splice_jax.errors import UserError
from splice_jax.evaluation import summary
from splice_jax.evaluation.scores.conventions import HEADLINE, find

ROWS = {("sgn", "none"): 0.3, ("sgn", "jax"): 0.5}


@pytest.fixture
def runs(made_up: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, **fields: Any) -> Path:
        content = made_up(ROWS, dataset=fields.pop("dataset", "columbia"), **fields)
        folder = tmp_path / name / "evaluation" / "columbia-test"
        folder.mkdir(parents=True)
        (folder / "scores.json").write_text(json.dumps(content))
        return tmp_path / name

    return write


def test_mean_and_deviation_over_seeds_beside_the_published_figures(runs: Callable[..., Path]) -> None:
    found = summary.summarize([runs(f"run{seed}", seed=seed, split_seed=seed) for seed in range(3)])
    values = [json.loads(Path(run["scores"]).read_text())["rows"][1]["scores"][0]["f1"] for run in found["runs"]]
    entry = find(found["rows"][1]["scores"], HEADLINE)["f1"]
    assert entry["values"] == values
    assert (entry["mean"], entry["std"]) == (pytest.approx(mean(values)), pytest.approx(stdev(values)))
    text = summary.text(found)
    assert "mean ± standard deviation over 3 runs" in text
    line = next(line for line in text.splitlines() if line.startswith("| sgn+crf"))
    assert f"{mean(values):.3f} ± {stdev(values):.3f}" in line
    assert "0.6482" in line and "read in the paper's table" in line
    assert summary.same_seeds(found) == ""


def test_one_run_has_no_spread(runs: Callable[..., Path]) -> None:
    found = summary.summarize([runs("a")])
    assert find(found["rows"][0]["scores"], HEADLINE)["f1"]["std"] is None
    assert "one run, so no spread" in summary.text(found)


def test_the_other_runs_of_an_evaluation_are_to_be_alike_and_not_the_same(runs: Callable[..., Path]) -> None:
    def with_other(name: str, seed: int, checkpoint: str, width: float) -> Path:
        run = runs(name, seed=seed)
        path = run / "evaluation" / "columbia-test" / "scores.json"
        content = json.loads(path.read_text())
        other = {"workdir": f"mfcn-{seed}", "checkpoint": checkpoint, "config": {"seed": seed, "width": width}}
        rows = [row | {"note": ""} for row in content["rows"]]
        path.write_text(json.dumps(content | {"runs": {"mfcn": other}, "rows": rows}))
        return run

    first, second = with_other("a", 0, "abc", 0.5), with_other("b", 1, "def", 0.5)
    assert summary.same_seeds(summary.summarize([first, second])) == ""
    assert "took mfcn from the same run" in summary.same_seeds(
        summary.summarize([first, with_other("c", 1, "abc", 0.5)])
    )
    with pytest.raises(UserError, match=r"differ in runs.mfcn.config.width \(0.5 and 1.0\)"):
        summary.summarize([first, with_other("d", 1, "abc", 1.0)])
    assert len(summary.summarize([first, runs("old", seed=1)])["runs"]) == 2  # which says nothing of others


def test_equal_seeds_are_warned_of(runs: Callable[..., Path]) -> None:
    assert "have the same seeds" in summary.same_seeds(summary.summarize([runs("a"), runs("b")]))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"dataset": "carvalho"}, "differ in dataset ('columbia' and 'carvalho')"),
        ({"crf": {"iterations": 7}}, "differ in crf.iterations (5 and 7)"),
        ({"method": "bappy"}, "differ in method"),
    ],
)
def test_runs_that_are_not_alike_are_refused(runs: Callable[..., Path], fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as caught:
        summary.summarize([runs("a"), runs("b", seed=1, **fields)])
    assert words in str(caught.value)


def test_mistakes_are_named(runs: Callable[..., Path], tmp_path: Path) -> None:
    run = runs("a")
    with pytest.raises(UserError, match="given twice"):
        summary.summarize([run, run])
    with pytest.raises(UserError, match="missing: no such run"):
        summary.summarize([tmp_path / "missing"])
    with pytest.raises(UserError, match="run splice-jax evaluate --workdir="):
        summary.summarize([tmp_path])
    path = run / "evaluation" / "columbia-test" / "scores.json"
    other = run / "evaluation" / "other"
    other.mkdir()
    (other / "scores.json").write_text(path.read_text())
    with pytest.raises(
        UserError, match=r"several evaluations \(columbia-test, other\); choose one by --evaluation=NAME"
    ):
        summary.summarize([run])
    assert summary.summarize([run], evaluation="other")["dataset"] == "columbia"
    path.write_text("{}")
    with pytest.raises(UserError, match="cannot be read as scores"):
        summary.summarize([path])
