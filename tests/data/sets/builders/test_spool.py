import numpy as np
import pytest
from tensorflow_datasets.core import shuffle

from splice_jax.data.sets.builders import base
from splice_jax.data.sets.builders.folder import Folder, list_pairs
from splice_jax.data.sets.builders.spool import Spool
from splice_jax.images import encode_png


def test_examples_come_back_in_order_and_their_file_goes(tmp_path):
    spool = Spool(tmp_path, "train", True)
    examples = [(0, b"first"), (3, b""), (7, b"\x00\n\xff" * 1000)]
    for key, data in examples:
        spool.add(key, data)
    assert (spool.num_examples, spool.bucket_lengths, spool.size) == (3, [3], 3005)
    assert list(spool) == examples
    assert not list(tmp_path.iterdir())


def test_keys_ascend(tmp_path):
    spool = Spool(tmp_path, "train", True)
    spool.add(4, b"a")
    with pytest.raises(ValueError, match="key 4 does not come after key 4"):
        spool.add(4, b"b")


def test_shuffling_is_refused(tmp_path):
    with pytest.raises(ValueError, match="neither shuffled nor compared"):
        Spool(tmp_path, "train", False)


def test_sets_over_the_size_that_tfds_gathers_in_memory_are_prepared(tmp_path, monkeypatch):
    """Beyond it TFDS would ask for TensorFlow."""
    monkeypatch.setattr(shuffle, "MAX_MEM_BUFFER_SIZE", 1000)
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (5, 70, 80, 3), np.uint8)
    for kind in ("images", "masks"):
        (tmp_path / "set" / kind).mkdir(parents=True)
    for number, picture in enumerate(pictures):
        (tmp_path / "set" / "images" / f"{number}.png").write_bytes(encode_png(picture))
        (tmp_path / "set" / "masks" / f"{number}.png").write_bytes(encode_png(picture[..., 0] > 127))
    builder = Folder(list_pairs(tmp_path / "set"), tmp_path / "prepared")
    base.prepare(builder, "a folder")
    names = [example["name"].decode() for example in base.read_split(builder, "test")]
    assert names == [str(number) for number in range(5)]
    assert not list((tmp_path / "prepared").rglob("*.tmp"))
