"""The command `splice-jax`: what it calls, what it says and its exit codes."""

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


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(encode_png(np.zeros((70, 90, 3), np.uint8)))
    return path


@pytest.fixture
def loaded(monkeypatch) -> list:
    """Calls of `splice_jax.load`, which gives the row `all_spliced`."""
    calls: list = []

    def load(workdir, *, crf="none"):
        calls.append((workdir, crf))
        return splice_jax.localizer("all_spliced")

    monkeypatch.setitem(vars(splice_jax), "load", load)
    return calls


def outcome(capsys, *argv) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        cli.main([str(argument) for argument in argv])
    said = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, said.out, said.err


def test_localize_writes_results(capsys, tmp_path, photo, loaded):
    output = tmp_path / "out"
    code, said, complaints = outcome(capsys, "localize", photo, "--workdir=run", "--output", output, "--crf=pydensecrf")
    assert (code, complaints) == (0, "")
    assert said.startswith(f"{photo}: 100.0% spliced")
    assert loaded == [(Path("run"), "pydensecrf")]
    assert sorted(path.name for path in output.iterdir()) == [
        "photo.mask.png",
        "photo.overlay.png",
        "photo.probability.png",
    ]
    assert outcome(capsys, "localize", photo, "--workdir=run", "--output", output, "--raw")[0] == 0
    assert (output / "photo.npz").exists()


def test_localize_ends_in_2_where_one_image_failed(capsys, tmp_path, photo, loaded):
    absent = tmp_path / "absent.png"
    code, said, complaints = outcome(capsys, "localize", absent, photo, "--workdir=run", "--output", tmp_path / "out")
    assert code == 2
    assert complaints == f"error: {absent}: cannot be opened (no such file or directory); check the path\n"
    assert said.startswith(f"{photo}: ")


def test_localize_checks_names_before_it_loads(capsys, tmp_path, photo, loaded):
    code, _, complaints = outcome(
        capsys, "localize", photo, "x/photo.jpg", "--workdir=run", "--output", tmp_path / "out"
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
    def load(workdir, *, crf):
        raise UserError(f"{workdir}: no trained run")

    monkeypatch.setitem(vars(splice_jax), "load", load)
    code, _, complaints = outcome(capsys, "localize", photo, "--workdir=run", "--output", tmp_path / "out")
    assert (code, complaints) == (2, "error: run: no trained run\n")
    assert not (tmp_path / "out").exists()


def test_compose_passes_everything_on(capsys, monkeypatch):
    calls = []

    def compose_folder(photos, output, **options):
        calls.append((photos, output, options))
        return {"train": 4, "test": 1}

    monkeypatch.setattr("splice_jax.data.compose.compose_folder", compose_folder)
    code, said, _ = outcome(
        capsys, "compose", "p", "--output=o", "--regions=r", "--count=5", "--seed=3", "--recipe=rescale", "--workers=1"
    )
    assert code == 0
    assert said == "o: 4 train, 1 test images; use them by --config.dataset=folder --config.data_dir=o\n"
    options = {"regions": Path("r"), "count": 5, "seed": 3, "recipe": "rescale", "split": None, "workers": 1}
    assert calls == [(Path("p"), Path("o"), options)]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "COMMAND; see splice-jax --help"),
        (["locate"], "invalid choice: 'locate'"),
        (["localize"], "IMAGE, --workdir, --output; see splice-jax localize --help"),
        (["localize", "a.png", "--workdir=r", "--output=o", "--crf=magic"], "'magic' is none of none, pydensecrf"),
        (["localize", "a.png", "--workdir=r", "--output=o", "--workers=2"], "unrecognized arguments: --workers=2"),
        (["compose", "p", "--output=o", "--count=0"], "--count: '0' is not a positive whole number"),
        (["compose", "p", "--output=o", "--seed=x"], "--seed: invalid int value: 'x'"),
        (["compose", "absent", "--output=o"], "absent: no such folder"),
    ],
)
def test_a_wrong_command_line_ends_in_one_line(capsys, argv, words):
    code, said, complaints = outcome(capsys, *argv)
    assert (code, said) == (2, "")
    assert complaints.startswith("error: ")
    assert complaints.count("\n") == 1
    assert words in complaints


def test_help_names_every_crf_and_version_is_told(capsys):
    code, said, _ = outcome(capsys, "localize", "--help")
    assert code == 0
    assert all(backend in said for backend in BACKENDS)
    assert outcome(capsys, "--version") == (0, f"splice-jax {splice_jax.__version__}\n", "")


def test_as_a_process_it_starts_fast_and_shows_no_traceback():
    code = "import sys; from splice_jax.cli import main; print({'numpy', 'jax'} & set(sys.modules)); main(['compose'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "set()\n")
    assert (
        done.stderr == "error: the following arguments are required: PHOTOS, --output; see splice-jax compose --help\n"
    )
