"""What splicing data sets share: features, array_record files in the form of TFDS, images as encoded bytes.

A prepared set is in the format of `tensorflow_datasets`: DATA_DIR/NAME/VERSION with dataset_info.json, features.json
and array_record files. TFDS's `SequentialWriter` writes it example by example, so that a set may be larger than memory;
`GeneratorBasedBuilder` would first collect a whole split, and require TensorFlow above a gigabyte. TFDS works without
TensorFlow as long as it does not have to encode or decode pixels: images go in as file objects and come out as the
same bytes.
"""

import abc
import functools
import io
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from splice_jax.errors import UserError
from splice_jax.files import replacing

AUTHENTIC = "_authentic"
"""Suffix of the split that holds the authentic images belonging to another split."""

KEPT_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".png")
"""Suffixes of files kept byte for byte, with their JPEG traces; all others become PNGs of their pixels."""

_EXAMPLES_PER_FILE = 1000


class Record(NamedTuple):
    """One example to be stored: image (JPEG or PNG) and mask (PNG, 255 = spliced) as encoded bytes.

    `photographs` names those the image was made from, separated by line breaks, if the data set says so.
    """

    name: str
    image: bytes
    mask: bytes
    authentic: bool = False
    photographs: str = ""


class SpliceBuilder(abc.ABC):
    """A data set of spliced images with masks. Subclasses define `VERSION` and `records`."""

    VERSION: str
    """Raise it with every change to the records: prepared sets are stored by version."""

    whole = ""
    """The stored split with all spliced images if the set is split by seed; otherwise ""."""

    def __init__(self, data_dir: Path) -> None:
        """The set is prepared, or to be prepared, in `data_dir`/NAME/VERSION."""
        self.name = type(self).__name__.lower()
        self.data_dir = data_dir.absolute() / self.name / self.VERSION

    @abc.abstractmethod
    def records(self) -> Mapping[str, Iterable[Record]]:
        """The examples of every split, in the order in which they will be read."""

    def stored(self) -> dict[str, Any]:
        """The features of an example: names used in `_example`, and their TFDS types."""
        return {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "mask": tfds.features.Image(shape=(None, None, 1)),
            "name": tfds.features.Text(),
            "authentic": tfds.features.Scalar(np.bool_),
        }

    @functools.cached_property
    def opened(self) -> Any:
        """TFDS's builder, which reads the prepared set."""
        return tfds.builder_from_directory(self.data_dir)

    @property
    def counts(self) -> dict[str, int]:
        """How many examples each split of the prepared set has."""
        return {name: split.num_examples for name, split in self.opened.info.splits.items()}


def prepare(builder: SpliceBuilder, title: str) -> None:
    """Prepares a set completely or not at all, unless it already is. `title` is what the user calls it.

    Raises:
      UserError: as the records, or there is no space or permission to write.
    """
    if is_prepared(builder):
        return
    print(f"preparing {title} in {builder.data_dir}", file=sys.stderr)
    try:
        with replacing(builder.data_dir) as unfinished:
            _write(builder, unfinished)
    except UserError:
        if not is_prepared(builder):  # otherwise another process was faster
            raise


def _write(builder: SpliceBuilder, folder: Path) -> None:
    folder.mkdir()
    info = tfds.core.DatasetInfo(
        builder=tfds.core.DatasetIdentity(builder.name, builder.VERSION, str(folder), type(builder).__module__),
        features=tfds.features.FeaturesDict(builder.stored()),
        description=type(builder).__doc__,
        disable_shuffling=True,
    )
    writer = tfds.core.SequentialWriter(info, _EXAMPLES_PER_FILE, file_format="array_record")
    try:
        for split, records in builder.records().items():
            writer.initialize_splits([split])
            for record in tqdm(records, f"preparing {split}", unit=" images", disable=None):
                writer.add_examples({split: [_example(record, builder.stored())]})
    finally:
        writer.close_all()


def _example(record: Record, names: Iterable[str]) -> dict[str, Any]:
    fields = {
        "image": io.BytesIO(record.image),
        "mask": io.BytesIO(record.mask),
        "name": record.name,
        "authentic": record.authentic,
        "origins": record.photographs,
    }
    return {name: fields[name] for name in names}


def is_prepared(builder: SpliceBuilder) -> bool:
    """Whether the set is completely prepared."""
    return (builder.data_dir / "dataset_info.json").is_file()


def read_split(builder: SpliceBuilder, split: str) -> Any:
    """Random access to the undecoded examples of a prepared split, as dictionaries of bytes."""
    undecoded = {"image": tfds.decode.SkipDecoding(), "mask": tfds.decode.SkipDecoding()}
    return builder.opened.as_data_source(split, decoders=undecoded)
