"""A short run of benchmarks.fuzz: no mutant of a valid file gives anything but a result or one line."""

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.fuzz import READERS
from benchmarks.fuzzing.reader import Reader
from benchmarks.fuzzing.trial import Trial

MUTANTS, SLOW = 60, {"checkpoint": 40, "pickled": 15}
OPTIONAL = {"pickled": "torch"}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.filterwarnings("ignore")  # Those of NumPy and of TIFF's tags say something of the mutant.
def test_mutants_are_read_or_refused(name: str, tmp_path: Path) -> None:
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name])
    trial = Trial(READERS[name], tmp_path)
    kinds, findings = Counter[str](), []
    for number in range(SLOW.get(name, MUTANTS)):
        outcome = trial.outcome(*trial.mutant(number))
        kinds[outcome.kind] += 1
        if outcome.kind not in ("read", "refused"):
            findings.append((number, outcome))
    assert not findings
    assert kinds["refused"] > 0


def test_a_mutant_is_the_same_in_every_run(tmp_path: Path) -> None:
    first, second = (Trial(READERS["mask"], tmp_path / name) for name in ("first", "second"))
    made = [[trial.mutant(number) for number in range(20)] for trial in (first, second)]
    assert made[0] == made[1]
    assert len({content for _, content in made[0]}) > 15


@pytest.mark.parametrize(
    ("read", "kind"),
    [(lambda path: 1 // 0, "ZeroDivisionError"), (lambda path: bytearray(2**62), "out of memory"), (len, "TypeError")],
)
def test_what_is_no_refusal_is_a_finding(read, kind: str, tmp_path: Path) -> None:
    reader = Reader(lambda folder: {"a": b"valid"}, lambda path: None, lambda content: True, ())
    trial = Trial(reader, tmp_path)
    trial.reader = reader._replace(read=read)
    assert trial.outcome("a", b"mutant").kind == kind
    assert (tmp_path / "a").read_bytes() == b"valid"
