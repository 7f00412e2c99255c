import re
import subprocess
from pathlib import Path

import pytest

import splice_jax
from splice_jax.evaluation.output import scores_json


def test_the_commit_is_the_checkouts_or_the_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(splice_jax, "__file__", str(tmp_path / "splice_jax" / "__init__.py"))
    assert scores_json.commit() == f"splice_jax {splice_jax.__version__}"

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    git("init")
    assert scores_json.commit() == f"splice_jax {splice_jax.__version__}"  # No commit yet.
    (tmp_path / "file").write_text("a")
    git("add", "file")
    git("commit", "-m", "first")
    clean = scores_json.commit()
    assert re.fullmatch("[0-9a-f]{40}", clean)
    (tmp_path / "file").write_text("b")
    assert scores_json.commit() == f"{clean}-dirty"
