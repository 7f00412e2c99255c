"""Prepared sets: in the form of TFDS, whole or not at all, and of any size."""

import contextlib
import io
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds

from splice_jax.data.sets.builders import base, manual_builder
from splice_jax.data.sets.builders.base import Record, SpliceBuilder
from splice_jax.images import encode_png

PICTURES = np.random.default_rng(0).integers(0, 256, (7, 30, 40, 3), np.uint8)
RECORDS = [
    Record(f"image{number}", encode_png(picture), encode_png(picture[..., 0] > 127))
    for number, picture in enumerate(PICTURES)
]


class Some(SpliceBuilder):
    """Seven images in two splits."""

    VERSION = "1.0.0"

    def records(self) -> dict[str, list[Record]]:
        return {"train": RECORDS[:5], "test": RECORDS[5:]}


class Carvalho(tfds.core.GeneratorBasedBuilder):
    """A set as version 0.1 wrote it."""

    VERSION = tfds.core.Version("1.0.0")
    url_infos = None

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "mask": tfds.features.Image(shape=(None, None, 1)),
            "name": tfds.features.Text(),
            "authentic": tfds.features.Scalar(np.bool_),
            "origins": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {"whole": self._generate_examples(RECORDS[:5]), "whole_authentic": self._generate_examples(RECORDS[5:])}

    def _generate_examples(self, records: list[Record]) -> Any:
        for key, record in enumerate(records):
            yield (
                key,
                {
                    "image": io.BytesIO(record.image),
                    "mask": io.BytesIO(record.mask),
                    "name": record.name,
                    "authentic": False,
                    "origins": "a.jpg\nb.jpg",
                },
            )


def read(builder: SpliceBuilder, split: str) -> list[tuple[bytes, bytes, bytes]]:
    return [(example["name"], example["image"], example["mask"]) for example in base.read_split(builder, split)]


def expected(records: list[Record]) -> list[tuple[bytes, bytes, bytes]]:
    return [(record.name.encode(), record.image, record.mask) for record in records]


@pytest.mark.parametrize("per_file", [1000, 2])
def test_examples_come_back_byte_for_byte_from_one_file_or_several(
    per_file: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(base, "_EXAMPLES_PER_FILE", per_file)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    builder = Some(tmp_path / "data")
    base.prepare(builder, "some")
    assert capfd.readouterr() == ("", f"preparing some in {tmp_path / 'data/some/1.0.0'}\n")
    assert builder.counts == {"train": 5, "test": 2}
    assert read(builder, "train") == expected(RECORDS[:5]) and read(builder, "test") == expected(RECORDS[5:])
    assert len(list(builder.data_dir.glob("*train*"))) == (1 if per_file == 1000 else 3)
    assert not list(temporary.iterdir())


def test_sets_that_version_0_1_prepared_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # TFDS's own builders leave an empty folder there.
    Carvalho(data_dir=tmp_path, file_format="array_record").download_and_prepare(download_dir=tmp_path / "downloads")
    builder = manual_builder("carvalho", str(tmp_path))
    assert base.is_prepared(builder)
    assert builder.counts == {"whole": 5, "whole_authentic": 2}
    assert read(builder, "whole") == expected(RECORDS[:5])
    assert base.read_split(builder, "whole")[1]["origins"] == b"a.jpg\nb.jpg"


def test_a_killed_preparation_leaves_no_set_and_its_files_go(tmp_path: Path) -> None:
    program = (
        "import sys, time, pathlib\nfrom splice_jax.data.sets.builders import base, synthetic\n"
        "class Synthetic(synthetic.Synthetic):\n"
        "    def records(self):\n        return {'train': self.slow()}\n"
        "    def slow(self):\n        yield synthetic._record('train', 0)\n        print('ready', flush=True)\n"
        "        time.sleep(600)\n"
        "base.prepare(Synthetic(pathlib.Path(sys.argv[1])), 'it')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.kill()
    process.communicate()
    (tmp_path / "synthetic").rename(tmp_path / "some")
    assert len(list((tmp_path / "some").iterdir())) == 3  # an unfinished set, its lock, and that of who prepares it
    builder = Some(tmp_path)
    assert not base.is_prepared(builder)
    base.prepare(builder, "some")
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["1.0.0"]


def test_of_two_machines_without_locks_the_first_to_finish_gives_the_set_to_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "alone", lambda _: contextlib.nullcontext())

    class Slow(Some):
        def records(self) -> dict[str, list[Record]]:
            base.prepare(Some(tmp_path), "some")  # what the other process does meanwhile
            return super().records()

    slow = Slow(tmp_path)
    slow.name, slow.data_dir = "some", Some(tmp_path).data_dir
    base.prepare(slow, "some")
    assert read(slow, "test") == expected(RECORDS[5:])
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["1.0.0"]
