"""How the house is kept: small folders, small files, nothing that points upward."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import splice_jax

ROOT = Path(__file__).parents[1]
MOST_MODULES, MOST_LINES = 12, 350


def test_no_folder_of_the_package_holds_more_modules_than_one_takes_in_at_a_glance() -> None:
    folders = {path.parent for path in (ROOT / "splice_jax").rglob("*.py")}
    counts = {folder: len([path for path in folder.glob("*.py") if path.stem != "__init__"]) for folder in folders}
    assert len(counts) > 20
    assert not {folder: count for folder, count in counts.items() if count > MOST_MODULES}


def test_no_file_is_longer_than_one_reads_at_a_sitting() -> None:
    files = [*ROOT.glob("*.py")]
    for folder in ("splice_jax", "tests", "benchmarks", "tools", "configs"):
        files += (path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".js", ".css", ".html"))
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert len(lengths) > 200
    assert not {path: length for path, length in lengths.items() if length > MOST_LINES}


@pytest.mark.parametrize("place", ["function", "TYPE_CHECKING"])
def test_an_import_of_a_higher_floor_is_found_wherever_it_stands(tmp_path: Path, place: str) -> None:
    """The contracts of pyproject.toml, on a small package that breaks one."""
    package = tmp_path / "splice_jax"
    package.mkdir()
    upward = "from splice_jax.images import read"
    hidden = {
        "function": f"def late():\n    {upward}\n    return read\n",
        "TYPE_CHECKING": f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {upward}\n",
    }
    for name, text in {"__init__": "", "errors": hidden[place], "images": "read = 1\n"}.items():
        (package / f"{name}.py").write_text(text)
    contract = '[tool.importlinter]\nroot_package = "splice_jax"\n\n[[tool.importlinter.contracts]]\nname = "floors"\n'
    contract += 'type = "layers"\ncontainers = ["splice_jax"]\nlayers = ["images", "errors"]\n'
    (tmp_path / "pyproject.toml").write_text(contract)
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run([*command, "--no-cache"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "splice_jax.errors -> splice_jax.images" in done.stdout


def test_links_of_the_documentation_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "splice_jax").rglob("*.md")]
    links = [
        (page, link) for page in pages for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    ]
    inside = [(page, *link.partition("#")[::2]) for page, link in links if not link.startswith("http")]
    assert len(inside) > 30
    for page, path, anchor in inside:
        target = page.parent / path if path else page
        assert target.exists(), (page, path)
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, (page, path, anchor)


def test_files_that_the_documentation_names_are_there() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "splice_jax").rglob("README.md")]
    named = [(page, name) for page in pages for name in re.findall(r"`([\w/*]+/[\w*]+\.py)`", page.read_text("utf-8"))]
    assert len(named) > 20
    for page, name in named:
        if not name.endswith(("NAME.py", "sharpness.py")):  # What a reader is told to write.
            assert any(list(place.glob(name)) for place in (ROOT, ROOT / "splice_jax", page.parent)), (page, name)


def test_the_readme_and_the_words_are_short_and_the_version_is_one() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 200
    assert len((ROOT / "docs/words.md").read_text(encoding="utf-8").splitlines()) <= 40
    assert f"\nversion: {splice_jax.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert changes[0] == splice_jax.__version__
