"""The command `splice-jax`: what it calls, what it says and its exit codes."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import splice_jax
from splice_jax import cli
from splice_jax.crf import BACKENDS
from splice_jax.errors import UserError
from splice_jax.images import encode_png
from splice_jax.methods import names


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "photo.png"
    grey = np.random.default_rng(0).integers(0, 256, (70, 90, 1), np.uint8)
    path.write_bytes(encode_png(np.repeat(grey, 3, axis=2)))
    return path


@pytest.fixture
def loaded(monkeypatch) -> list:
    """Calls of what loads a run, which gives the row `all_spliced`."""
    calls: list = []

    def load_rows(workdir, rows, *, crf, labels):
        calls.append((workdir, rows, crf, labels))
        return [splice_jax.localizer("all_spliced") for _ in rows]

    monkeypatch.setattr("splice_jax.runs.load.load_rows", load_rows)
    return calls


def outcome(capsys, *argv) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        cli.main([str(argument) for argument in argv])
    said = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, said.out, said.err


def test_localize_writes_results(capsys, tmp_path, photo, loaded):
    output = tmp_path / "out"
    code, said, complaints = outcome(capsys, "localize", photo, "--workdir=run", "--output", output, "--crf=jax")
    assert (code, complaints) == (0, "")
    assert said.startswith(f"{photo}: 100.0% spliced")
    assert loaded == [(Path("run"), [""], "jax", False)]
    assert sorted(path.name for path in output.iterdir()) == [
        "photo.mask.png",
        "photo.overlay.png",
        "photo.probability.png",
        "summary.csv",
    ]
    assert outcome(capsys, "localize", photo, "--workdir=run", "--output", output, "--raw")[0] == 0
    assert (output / "photo.npz").exists() and loaded[1][-1]


def test_localize_ends_in_2_where_one_image_failed(capsys, tmp_path, photo, loaded):
    absent = tmp_path / "absent.png"
    code, said, complaints = outcome(capsys, "localize", absent, photo, "--workdir=run", "--output", tmp_path / "out")
    assert code == 2
    assert complaints == (
        f"error: {absent}: cannot be opened (no such file or directory); check the path\n1 of 2 images failed\n"
    )
    assert said.startswith(f"{photo}: ")


def test_localize_checks_names_before_it_loads(capsys, tmp_path, photo, loaded):
    code, _, complaints = outcome(
        capsys, "localize", photo, "x/photo.png", "--workdir=run", "--output", tmp_path / "out"
    )
    assert code == 2
    assert complaints.count("\n") == 1
    assert "same names" in complaints
    assert not loaded
    assert not (tmp_path / "out").exists()


def test_localize_into_a_file_is_refused(capsys, photo, loaded):
    code, said, complaints = outcome(capsys, "localize", photo, "--workdir=run", "--output", photo)
    assert (code, said) == (2, "")
    assert complaints == f"error: {photo}: no folder that can be written to (file exists); choose another\n"


def test_a_run_that_cannot_be_loaded_leaves_nothing(capsys, monkeypatch, tmp_path, photo):
    def load_rows(workdir, rows, *, crf, labels):
        raise UserError(f"{workdir}: no trained run")

    monkeypatch.setattr("splice_jax.runs.load.load_rows", load_rows)
    code, _, complaints = outcome(capsys, "localize", photo, "--workdir=run", "--output", tmp_path / "out")
    assert (code, complaints) == (2, "error: run: no trained run\n")
    assert not (tmp_path / "out").exists()


def test_localize_by_a_row_that_needs_no_run(capsys, tmp_path, photo):
    code, said, complaints = outcome(capsys, "localize", photo, "--method=noi4", "--output", tmp_path / "out")
    assert (code, complaints) == (0, "")
    assert said.startswith(f"{photo}: ") and "% spliced" in said
    arguments = "--method=all_spliced", "--crf=jax", "--output", tmp_path / "crf"
    code, said, complaints = outcome(capsys, "localize", photo, *arguments)
    assert (code, complaints) == (0, "") and "% spliced" in said


def test_a_row_that_is_undefined_for_an_image_says_why_and_ends_in_2(capsys, tmp_path, photo):
    code, said, complaints = outcome(capsys, "localize", photo, "--method=cfa1", "--output", tmp_path / "out")
    assert (code, said) == (2, "")
    assert (
        complaints == f"error: {photo}: row cfa1 needs a colour image; this one is grey, and no filter array made it\n"
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["summary.csv"]


def test_a_run_may_hold_the_row(capsys, tmp_path, photo, loaded):
    assert outcome(capsys, "localize", photo, "--workdir=run", "--method=mfcn", "--output", tmp_path / "out")[0] == 0
    assert loaded == [(Path("run"), ["mfcn"], "none", False)]


def test_localize_by_all_rows_that_need_no_run(capsys, tmp_path, photo):
    output = tmp_path / "out"
    code, said, complaints = outcome(capsys, "localize", photo, "--method=all", "--output", output)
    assert (code, complaints) == (0, "")
    assert [line.split(": ")[1] for line in said.splitlines()] == names()
    undefined = {line.split(": ")[1] for line in said.splitlines() if ": undefined, row " in line}
    assert {"cfa1", "nadq"} <= undefined < set(names())  # grey, and no JPEG
    written = {path.name for path in output.iterdir()} - {"summary.csv"}
    kinds = "mask.png", "overlay.png", "probability.png"
    assert written == {f"photo.{name}.{kind}" for name in names() if name not in undefined for kind in kinds}
    with open(output / "summary.csv", newline="") as file:
        assert {line["method"] for line in csv.DictReader(file) if line["status"] == "undefined"} == undefined


def test_localize_mirrors_subfolders(capsys, tmp_path, photo):
    for name in ("one", "two"):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "photo.png").write_bytes(photo.read_bytes())
    arguments = "localize", tmp_path / "in", "--method=noi4", "--output", tmp_path / "in" / "out", "--recursive"
    for _ in range(2):  # The first call's results are no images to the second.
        code, said, complaints = outcome(capsys, *arguments)
        assert (code, complaints, said.count("\n")) == (0, "", 2)
    assert (tmp_path / "in" / "out" / "one" / "photo.mask.png").exists()
    assert not (tmp_path / "in" / "out" / "out").exists()


def test_compose_passes_everything_on(capsys, monkeypatch):
    calls = []

    def compose_folder(photos, output, **options):
        calls.append((photos, output, options))
        return {"train": 4, "test": 1}

    monkeypatch.setattr("splice_jax.data.composing.compose.compose_folder", compose_folder)
    code, said, _ = outcome(
        capsys, "compose", "p", "--output=o", "--regions=r", "--count=5", "--seed=3", "--recipe=rescale", "--workers=1"
    )
    assert code == 0
    assert said == "o: 4 train, 1 test images; use them by --config.dataset=folder --config.data_dir=o\n"
    options = {"count": 5, "seed": 3, "recipe": "rescale", "split": None, "workers": 1, "half": None}
    assert calls == [([Path("p")], Path("o"), {"regions": [Path("r")], **options})]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "COMMAND; see splice-jax --help"),
        (["locate"], "invalid choice: 'locate'"),
        (["localize"], "required: --output; see splice-jax localize --help"),
        (["localize", ".", "--output=o", "--method=noi1"], "no images in this folder"),
        (["localize", __file__, "--output=o", "--method=noi"], "method 'noi' is not known: did you mean 'noi"),
        (
            ["localize", __file__, "--output=o", "--method=sgn"],
            "method 'sgn' is trained: name its run, --workdir",
        ),
        (["localize", __file__, "--output=o", "--method=noi1,noi"], "method 'noi' is not known: did you mean 'noi"),
        (["localize", __file__, "--output=o", "--method=sgn", "--workdir=absent"], "absent: no such folder"),
        (["localize", __file__, "--output=o", "--method=all", "--workdir=absent"], "absent: no such folder"),
        (["localize", "a.png", "--workdir=r", "--output=o", "--crf=magic"], "'magic' is none of none, jax, pydensecrf"),
        (["localize", "a.png", "--output=o", "--workers=2"], "--workers: goes with --from-list or --from-folder"),
        (["examine", "a.png", "--output=o", "--seconds-per-image=2"], "--seconds-per-image: goes with --from-list"),
        (["localize", "--output=o"], "IMAGE: give one or more, a folder, or a bulk job by --from-list"),
        (["localize", "a.png", "--from-list=l", "--output=o"], "--from-list: goes with no other images"),
        (["examine", "--from-list=l", "--from-folder=f", "--output=o"], "--from-list: goes with no --from-folder"),
        (["localize", "--from-folder=f", "--recursive", "--output=o"], "--recursive: --from-folder takes subfolders"),
        (["localize", "--from-list=l", "--gpus=1", "--workers=1", "--output=o"], "one worker for each of --gpus"),
        (["localize", "--from-list=l", "--shard=8/8", "--output=o"], "'8/8' is no shard"),
        (["weights", "a.pth"], "required: --output; see splice-jax weights --help"),
        (["compose", "p", "--output=o", "--count=0"], "--count: '0' is not a positive whole number"),
        (["compose", "p", "--output=o", "--seed=x"], "--seed: invalid int value: 'x'"),
        (["compose", "absent", "--output=o"], "absent: no such folder"),
        (["tune-crf", "--workdir=absent"], "absent: no such folder"),
        (["tune-crf", "--workdir=absent", "--threshold=0.4"], "invalid choice: '0.4'"),
        (["summarize", "absent"], "absent: no such run"),
        (["import-pytorch", "a.pth", "--workdir=w"], "are required: --arch; see splice-jax import-pytorch --help"),
        (["import-pytorch", "a.pth", "--arch=sgn2", "--workdir=w"], "--arch: invalid choice: 'sgn2'"),
        (["export-pytorch", "--workdir=w"], "are required: --output; see splice-jax export-pytorch --help"),
    ],
)
def test_a_wrong_command_line_ends_in_one_line(capsys, argv, words):
    code, said, complaints = outcome(capsys, *argv)
    assert (code, said) == (2, "")
    assert complaints.startswith("error: ")
    assert complaints.count("\n") == 1
    assert words in complaints


def test_tune_crf_passes_everything_on(capsys, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "splice_jax.evaluation.tune_crf.tune", lambda workdir, **options: calls.append((workdir, options))
    )
    monkeypatch.setattr("splice_jax.evaluation.tune_crf.text", lambda content: "tuned")
    code, said, _ = outcome(
        capsys, "tune-crf", "--workdir=r", "--search=grid", "--score=mcc", "--images=3", "--workers=1"
    )
    assert (code, said) == (0, "tuned\nwritten into r/config.json; all trials are in r/tune_crf.json\n")
    options = {"search": "grid", "trials": 40, "seed": 0, "threshold": "best-per-image", "score": "mcc", "images": 3}
    assert calls == [(Path("r"), {**options, "workers": 1})]


def test_summarize_prints_writes_and_warns(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("splice_jax.evaluation.summary.summarize", lambda runs, evaluation: {"of": str(runs)})
    monkeypatch.setattr("splice_jax.evaluation.summary.text", lambda summary: summary["of"])
    monkeypatch.setattr("splice_jax.evaluation.summary.same_seeds", lambda summary: "alike")
    code, said, complaints = outcome(capsys, "summarize", "a", "b", f"--output={tmp_path / 'x.json'}")
    assert (code, said, complaints) == (0, f"{[Path('a'), Path('b')]}\n", "warning: alike\n")
    assert (tmp_path / "x.json").is_file()


def test_help_names_every_crf_and_version_is_told(capsys):
    code, said, _ = outcome(capsys, "localize", "--help")
    assert code == 0
    assert all(name in said for name in (*BACKENDS, *names()))
    assert outcome(capsys, "--version") == (0, f"splice-jax {splice_jax.__version__}\n", "")


def test_as_a_process_it_starts_fast_and_shows_no_traceback():
    code = "import sys; from splice_jax.cli import main; print({'numpy', 'jax'} & set(sys.modules)); main(['compose'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "set()\n")
    assert (
        done.stderr == "error: the following arguments are required: PHOTOS, --output; see splice-jax compose --help\n"
    )


def test_prepare_tells_what_to_do_and_ends_in_2(capsys, tmp_path):
    code, said, complaints = outcome(capsys, "prepare", "columbia", "--data-dir", tmp_path)
    assert code == 2
    assert "4cam_splc" in said and "Terms:" in said
    assert complaints == "error: --manual-dir: is missing; get the data set as described and name its folder\n"


def test_prepare_and_verify_print_a_table_and_end_in_2_where_something_is_wrong(capsys, monkeypatch):
    from splice_jax.data.sets.reading import USUAL
    from splice_jax.data.sets.verify import Finding

    calls, findings = [], [Finding("sizes", "64x64")]

    def verify(dataset, data_dir, reading):
        assert reading == USUAL
        calls.append((dataset, data_dir))
        return findings

    monkeypatch.setattr("splice_jax.data.sets.verify.verify", verify)
    monkeypatch.setattr(
        "splice_jax.data.sets.preparation.prepare_manual", lambda dataset, manual, *how: verify(manual.name, *how)
    )
    code, said, complaints = outcome(capsys, "prepare", "carvalho", "--manual-dir=a/b", "--data-dir=d")
    assert (code, complaints) == (0, "")
    assert "sizes" in said and said.endswith("use it by --config.dataset=carvalho --config.data_dir=d\n")
    findings.append(Finding("unreadable", "1: x", "none", "WRONG"))
    for arguments in (("prepare", "carvalho", "--manual-dir=b"), ("verify", "carvalho")):
        code, said, complaints = outcome(capsys, *arguments)
        assert code == 2 and "unreadable" in said
        assert complaints == "error: carvalho: wrong are unreadable; the table says what was found\n"
    assert calls == [("b", "d"), ("b", ""), ("carvalho", "")]


def test_verify_of_a_set_that_is_not_prepared_ends_in_one_line(capsys, tmp_path):
    code, said, complaints = outcome(capsys, "verify", "nc2016", "--data-dir", tmp_path)
    assert (code, said, complaints.count("\n")) == (2, "", 1)
    assert "nc2016 is not prepared there" in complaints
