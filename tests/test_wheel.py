"""The built wheel in an empty folder, with nothing but the base requirements: missing data files show only there."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]

# The checkout is kept out by -I and by the wheel's place in front; what belongs to extras by entries that are None,
# which Python takes for modules that are not there.
_START = """
import importlib.metadata, json, re, runpy, sys
wheel, extras = sys.argv[1], sys.argv[2]
sys.path.insert(0, wheel)
if extras == "without":
    listed = importlib.metadata.requires("splice_jax")
    optional = [text for text in listed if re.search("extra == .(train|evaluate)", text)]
    names = {re.split(r"[^\\w.-]", text, maxsplit=1)[0] for text in optional}
    assert {"grain", "tensorflow-datasets", "array_record", "tensorboardX", "matplotlib", "Jinja2"} <= names
    find = importlib.metadata.Distribution.from_name
    absent = importlib.metadata.PackageNotFoundError
    def from_name(name):
        if name in names:
            raise absent(name)
        return find(name)
    importlib.metadata.Distribution.from_name = from_name
    modules = {name.replace("-", "_") for name in names}
    sys.modules.update(dict.fromkeys({*modules, *(module.lower() for module in modules)}))
import splice_jax
assert splice_jax.__file__.startswith(wheel), splice_jax.__file__
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel, built from a copy so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source, unpacked = folder / "source", folder / "unpacked"
    shutil.copytree(ROOT / "splice_jax", source / "splice_jax", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=source, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(unpacked)
    return unpacked


def run(wheel: Path, empty: Path, code: str, *, extras: str = "without") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", _START + code, str(wheel), extras]
    return subprocess.run(command, cwd=empty, capture_output=True, text=True)


def test_the_wheel_holds_every_file_of_the_package_and_no_other_package(wheel: Path) -> None:
    ours = {path.relative_to(ROOT) for path in (ROOT / "splice_jax").rglob("*.*") if path.suffix not in (".pyc", ".md")}
    packed = {path.relative_to(wheel) for path in (wheel / "splice_jax").rglob("*.*") if path.suffix != ".pyc"}
    assert Path("splice_jax/py.typed") in packed and Path("splice_jax/runs/builtin/demo.py") in packed
    assert packed == {path for path in ours if "__pycache__" not in path.parts}
    assert {path.name for path in wheel.iterdir() if path.suffix != ".dist-info"} == {"splice_jax"}


def test_localizing_needs_the_base_requirements_only(wheel: Path, tmp_path: Path, tiny_run: Any) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (70, 90, 3), np.uint8)).save(tmp_path / "photo.png")
    code = "from splice_jax import cli; cli.main(['localize', 'photo.png', '--method=noi1', '--output=out'])"
    done = run(wheel, tmp_path, code)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"photo.probability.png", "photo.mask.png"}
    code = f"""
import numpy
found = splice_jax.load({str(tiny_run.workdir)!r})(numpy.zeros((70, 90, 3), numpy.uint8))
print(found.probability.shape)
"""
    done = run(wheel, tmp_path, code)
    assert (done.returncode, done.stdout) == (0, "(70, 90)\n"), done.stderr


@pytest.mark.parametrize(
    ("command", "extra"),
    [("'train', '--config=demo'", "train"), ("'evaluate', '--config=rivals'", "evaluate"), ("'verify', 'x'", "train")],
)
def test_what_needs_an_extra_says_so_in_one_line(wheel: Path, tmp_path: Path, command: str, extra: str) -> None:
    workdir = "" if "verify" in command else ", '--workdir=run'"
    done = run(wheel, tmp_path, f"from splice_jax import cli; cli.main([{command}{workdir}])")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.endswith(f'not installed, but needed here; install by: pip install "splice_jax[{extra}]"\n')
    assert not list(tmp_path.iterdir())


def test_an_evaluation_s_report_comes_from_the_wheel(wheel: Path, tmp_path: Path, splices: Path) -> None:
    arguments = [
        "evaluate",
        "--config=rivals",
        "--workdir=run",
        "--config.methods=random",
        "--config.dataset=folder",
        f"--config.data_dir={splices}",
        "--config.crf.backend=none",
    ]
    done = run(wheel, tmp_path, f"from splice_jax import cli; cli.main({json.dumps(arguments)})", extras="with")
    assert done.returncode == 0, done.stderr
    (report,) = tmp_path.glob("run/evaluation/*/report.html")
    assert "sortable" in report.read_text(encoding="utf-8") or "<table" in report.read_text(encoding="utf-8")
