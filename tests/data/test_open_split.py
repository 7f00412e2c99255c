import os
import subprocess
import sys

import numpy as np
import pytest

from splice_jax.data import open_split
from splice_jax.data.sets import builders
from splice_jax.data.sets.builders import synthetic
from splice_jax.errors import UserError

PROGRAM = """
import sys
import splice_jax.data
assert "tensorflow_datasets" not in sys.modules, "splice_jax.data imports TFDS before it is needed"
from splice_jax.data.sets.builders import synthetic
synthetic.COUNTS = {"train": 2, "test": 1}
split = splice_jax.data.open_split("synthetic", "", "train")
assert split[1].image.shape == (synthetic.HEIGHT, synthetic.WIDTH, 3)
assert not [name for name in sys.modules if name.split(".")[0] in ("tensorflow", "torch")]
"""


def test_tensorflow_is_imported_by_nothing(tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and done.stderr.startswith("preparing synthetic in") and done.stderr.count("\n") == 1


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(synthetic, "COUNTS", {"train": 3, "val": 1, "test": 2})


def test_synthetic_examples_are_the_composed_splices(few, tmp_path):
    split = open_split("synthetic", str(tmp_path), "train")
    assert [example.name for example in split] == ["train-0000", "train-0001", "train-0002"]
    for index, example in enumerate(split):
        splice = synthetic.synthetic_splice("train", index)
        np.testing.assert_array_equal(example.image, splice.image)
        np.testing.assert_array_equal(example.mask, splice.mask)
    assert (tmp_path / "synthetic").is_dir()
    assert open_split("synthetic", str(tmp_path), "test")[0].name == "test-0000"


def test_unknown_names_are_listed_with_what_there_is(few, tmp_path):
    with pytest.raises(UserError, match="dataset: 'casia' is none of carvalho, columbia, folder, nc2016, synthetic"):
        open_split("casia", "", "test")
    with pytest.raises(UserError, match="split: synthetic in .* has no 'dev'; it has .*train"):
        open_split("synthetic", str(tmp_path), "dev")


def test_the_cache_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert builders.cache() == tmp_path / "splice_jax" / "tfds"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert builders.cache() == tmp_path / "home" / ".cache" / "splice_jax" / "tfds"
