"""`splice-jax train` and `splice-jax evaluate`: what train.py and evaluate.py do."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from splice_jax import cli
from splice_jax.errors import require_extra
from splice_jax.runs.builtin import NAMES, builtin

ROOT = Path(__file__).parents[2]


def outcome(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        cli.main([str(argument) for argument in argv])
    said = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, said.out, said.err


def test_train_takes_a_built_in_configuration_by_its_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    monkeypatch.setattr("splice_jax.training.loop.train", lambda config, workdir: calls.append((config, workdir)))
    monkeypatch.setattr("splice_jax.runtime.set_up", lambda cpu_devices: calls.append(cpu_devices))
    arguments = "--config=demo", "--config.cpu_devices=1", "--config.loss.beta", "5", "--workdir", tmp_path
    assert outcome(capsys, "train", *arguments) == (0, "", "")
    devices, (config, workdir) = calls
    expected = builtin("demo")
    expected.cpu_devices, expected.loss.beta = 1, 5.0
    assert (devices, workdir, config.to_dict()) == (1, tmp_path, expected.to_dict())


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--workdir: say "),
        (["--workdir"], "expected one argument; see splice-jax COMMAND --help"),
        (["--workdir=DIR", "--wrkdir=x"], "--wrkdir=x: not understood"),
        (["--workdir=DIR", "--config=nowhere"], "--config=nowhere: no built-in configuration and no .py file; "),
    ],
)
def test_a_wrong_command_line_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str, arguments: list[str], message: str
) -> None:
    replaced = [argument.replace("DIR", str(tmp_path / "run")) for argument in arguments]
    code, said, complaint = outcome(capsys, command, *replaced)
    assert (code, said, complaint.count("\n")) == (2, "", 1)
    assert message.replace("COMMAND", command) in complaint
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_help_lists_the_built_in_configurations(capsys: pytest.CaptureFixture[str], command: str) -> None:
    code, said, _ = outcome(capsys, command, "--help")
    assert code == 0 and said.startswith(f"usage: splice-jax {command} ")
    assert ", ".join(NAMES) in " ".join(said.split())


@pytest.mark.parametrize("script", ["train", "evaluate"])
def test_the_scripts_are_the_commands(script: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / f"{script}.py"), "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"usage: splice-jax {script} ")


def test_evaluate_scores_rows_that_need_no_run(
    capsys: pytest.CaptureFixture[str], splices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("splice_jax.runtime.set_up", lambda cpu_devices: None)
    data = "--config.dataset=folder", f"--config.data_dir={splices}", "--config.crf.backend=none"
    code, _, _ = outcome(
        capsys, "evaluate", "--config=rivals", "--config.methods=random,noi4", f"--workdir={tmp_path}", *data
    )
    assert code == 0
    (scores,) = tmp_path.glob("evaluation/*/scores.json")
    assert {row["method"] for row in json.loads(scores.read_text())["rows"]} >= {"random", "noi4"}
    assert not (tmp_path / "config.json").exists()


def test_a_missing_extra_is_one_line_that_says_how_to_get_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = ['no-such-grain>=0.2.3; extra == "train"', 'no.such-datasets>=4.9; extra == "train"']
    listed = ["numpy>=2.0", 'pillow>=11; extra == "train"', *absent, 'no-such-page; extra == "evaluate"']
    monkeypatch.setattr("importlib.metadata.requires", lambda name: {"splice_jax": listed}[name])
    code, said, complaint = outcome(capsys, "train", "--workdir", tmp_path / "run")
    hint = 'pip install "splice_jax[train]"'
    expected = f"error: no-such-grain, no.such-datasets: not installed, but needed here; install by: {hint}\n"
    assert (code, said, complaint) == (2, "", expected)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("extra", ["train", "evaluate"])
def test_an_extra_that_is_installed_is_found(extra: str) -> None:
    require_extra(extra)  # By the package's own metadata: names such as Jinja2's are not those of modules.


def test_messages_name_commands_that_are_installed() -> None:
    scripts = "train.py --", "evaluate.py --"
    files = [path for path in (ROOT / "splice_jax").rglob("*.py") if "builtin" not in path.parts]
    assert len(files) > 80
    assert not [path for path in files if any(script in path.read_text(encoding="utf-8") for script in scripts)]
