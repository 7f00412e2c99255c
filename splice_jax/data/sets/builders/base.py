"""What the TFDS builders of splicing data sets share: features, array_record files, images as encoded bytes.

TFDS runs without TensorFlow as long as nobody hands it pixels to encode or asks it to decode any: images go in as
file objects and come out as the bytes they were.
"""

import abc
import contextlib
import io
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from splice_jax.data.sets.builders.spool import in_order
from splice_jax.errors import UserError, one_line

AUTHENTIC = "_authentic"
"""What the name of a split ends in that holds the authentic images beside another split."""

KEPT_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".png")
"""Of files kept byte for byte, with their JPEG traces; any other becomes a PNG of its pixels."""


class Record(NamedTuple):
    """One example on its way in: image (JPEG or PNG) and mask (PNG, 255 = spliced) as encoded bytes.

    `origins` names, where a data set tells, the photographs that the image was made from, separated by line breaks.
    """

    name: str
    image: bytes
    mask: bytes
    authentic: bool = False
    origins: str = ""


class SpliceBuilder(tfds.core.GeneratorBasedBuilder):
    """A data set of spliced images with masks. A new one gives `VERSION` and `records`."""

    url_infos = None  # nothing is downloaded, and to look for checksums TFDS needs a package that it does not install

    def __init__(self, data_dir: Path) -> None:
        """Of the set prepared, or to be prepared, in `data_dir`/NAME/VERSION."""
        super().__init__(data_dir=data_dir, file_format="array_record")

    @abc.abstractmethod
    def records(self) -> Mapping[str, Iterable[Record]]:
        """The examples of every split, in the order in which they will be read."""

    def stored(self) -> dict[str, Any]:
        """What is stored of an example: fields of `Record`."""
        return {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "mask": tfds.features.Image(shape=(None, None, 1)),
            "name": tfds.features.Text(),
            "authentic": tfds.features.Scalar(np.bool_),
        }

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(self.stored())
        return tfds.core.DatasetInfo(builder=self, features=features, description=self.__doc__, disable_shuffling=True)

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        return {split: self._generate_examples(split, records) for split, records in self.records().items()}

    def _generate_examples(self, split: str, records: Iterable[Record]) -> Iterator[tuple[int, dict[str, Any]]]:
        for key, record in enumerate(tqdm(records, f"preparing {split}", unit=" images", disable=None)):
            fields = record._asdict() | {"image": io.BytesIO(record.image), "mask": io.BytesIO(record.mask)}
            yield key, {name: fields[name] for name in self.stored()}


def prepare(builder: SpliceBuilder, title: str) -> None:
    """Build the set unless it is there. `title` is what the user knows it by.

    TFDS writes beside and renames, so that a set is there whole or not at all.

    Raises:
      UserError: what the records raise, or no room or right to write.
    """
    if is_prepared(builder):
        return
    print(f"preparing {title} in {builder.data_dir}", file=sys.stderr)
    try:
        # TFDS makes a folder for downloads whether there are any or not.
        with _quiet(), in_order(), tempfile.TemporaryDirectory() as unused:
            builder.download_and_prepare(download_dir=unused)
    except OSError as error:
        if not is_prepared(builder):  # otherwise another process was faster
            raise UserError(f"{builder.data_dir}: cannot prepare {title} there ({one_line(error)})") from error


def is_prepared(builder: SpliceBuilder) -> bool:
    """Whether the whole set is there."""
    return (Path(builder.data_dir) / "dataset_info.json").is_file()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the chatter of TFDS, which goes to stdout and to progress bars of its own."""
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.enable_progress_bar()


def read_split(builder: SpliceBuilder, split: str) -> Any:
    """Random access to the undecoded examples of a prepared split, as dictionaries of bytes."""
    undecoded = {"image": tfds.decode.SkipDecoding(), "mask": tfds.decode.SkipDecoding()}
    return builder.as_data_source(split, decoders=undecoded)
