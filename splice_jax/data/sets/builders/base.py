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
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8
from tqdm import tqdm

from splice_jax.errors import UserError, one_line, shown
from splice_jax.files import alone, replacing, writable_folder
from splice_jax.images import encode_png, with_end
from splice_jax.images.formats import HEAD_BYTES, kind_of

AUTHENTIC = "_authentic"
"""Suffix of the split that holds the authentic images belonging to another split."""

NOTES_FILE = "notes.json"
"""What was left out of a prepared set, and what there is to know about its files: part -> kinds and texts."""

LEFT_OUT, FILE_NOTE, MASK_NOTE, ORIENTATION_NOTE = "left out", "files", "masks", "orientation"
"""Kinds of notes."""

_KEPT_FORMATS = ("JPEG", "PNG")
"""Formats of files kept byte for byte, with their JPEG traces; all others become PNGs of their pixels."""

_EXAMPLES_PER_FILE = 1000


class Note(NamedTuple):
    """Something to know about a file of the set; the text names the file."""

    kind: str
    text: str


class Record(NamedTuple):
    """One example to be stored: image (JPEG or PNG) and mask (PNG, 255 = spliced) as encoded bytes.

    `photographs` names those the image was made from, separated by line breaks, if the data set says so.
    """

    name: str
    image: bytes
    mask: bytes
    authentic: bool = False
    photographs: str = ""
    notes: tuple[Note, ...] = ()


class SpliceBuilder(abc.ABC):
    """A data set of spliced images with masks. Subclasses define `VERSION` and `records`."""

    VERSION: str
    """Raise it with every change to the records: prepared sets are stored by version."""

    whole = ""
    """The stored split with all spliced images if the set is split by seed; otherwise ""."""

    skip_unreadable = False
    """Whether files that cannot be used are left out; otherwise the set is refused because of them."""

    passed_over = ""
    """What files there are that are no images, in words."""

    def __init__(self, data_dir: Path) -> None:
        """The set is prepared, or to be prepared, in `data_dir`/NAME/VERSION."""
        self.name = type(self).__name__.lower()
        self.data_dir = data_dir.absolute() / self.name / self.VERSION

    @abc.abstractmethod
    def records(self) -> Mapping[str, Iterable[Record | UserError]]:
        """The examples of every split, in the order in which they will be read; errors for those that cannot be."""

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

    @property
    def notes(self) -> dict[str, list[Note]]:
        """What was noted when the set was prepared, per split; nothing for sets of earlier versions."""
        path = self.data_dir / NOTES_FILE
        if not path.is_file():
            return {}
        return {part: [Note(*note) for note in notes] for part, notes in json.loads(path.read_text()).items()}


def prepare(builder: SpliceBuilder, title: str) -> None:
    """Prepares a set completely or not at all, unless it already is. `title` is what the user calls it.

    Of several processes on one machine, one prepares it and the others wait.

    Raises:
      UserError: as the records, or there is no space or permission to write.
    """
    if is_prepared(builder):
        return
    writable_folder(builder.data_dir.parent)
    with alone(builder.data_dir):
        if is_prepared(builder):
            return
        print(f"preparing {title} in {builder.data_dir}", file=sys.stderr)
        try:
            with replacing(builder.data_dir) as unfinished:
                _write(builder, unfinished)
        except UserError:
            if not is_prepared(builder):  # otherwise another machine was faster
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
    notes: dict[str, list[Note]] = {}
    try:
        for split, records in builder.records().items():
            notes[split] = _write_split(writer, split, records, builder)
    finally:
        writer.close_all()
    _tell(notes, builder)
    if any(notes.values()):
        (folder / NOTES_FILE).write_text(json.dumps(notes))


def _write_split(writer: Any, split: str, records: Iterable[Record | UserError], builder: SpliceBuilder) -> list[Note]:
    """Writes the examples of a split, if there are any; returns what there is to know about its files."""
    notes, begun = [], False
    for record in tqdm(records, f"preparing {split}", unit=" images", disable=None):
        if isinstance(record, UserError):
            notes.append(Note(LEFT_OUT, one_line(record)))
            continue
        if not begun:
            writer.initialize_splits([split])
            begun = True
        writer.add_examples({split: [_example(record, builder.stored())]})
        notes += record.notes
    return notes


def _tell(notes: Mapping[str, Sequence[Note]], builder: SpliceBuilder) -> None:
    """Names every file there is something to say about, one per line; refuses the set if some cannot be used."""
    said = [note for of_split in notes.values() for note in of_split]
    bad = [note for note in said if note.kind == LEFT_OUT]
    if bad and not builder.skip_unreadable:
        for note in bad[:-1]:
            print(f"error: {note.text}", file=sys.stderr)
        if len(bad) == 1:
            raise UserError(bad[0].text)
        print(f"error: {bad[-1].text}", file=sys.stderr)
        raise UserError(f"{len(bad)} files cannot be used, named above; mend them, or set skip_unreadable=true")
    for note in said:
        left_out = "left out: " if note.kind == LEFT_OUT else ""
        print(f"warning: {left_out}{shown(note.text)}", file=sys.stderr)
    if builder.passed_over:
        print(f"note: {builder.passed_over}", file=sys.stderr)


Given = TypeVar("Given")


def attempted(read: Callable[[Given], Record], sources: Iterable[Given]) -> Iterator[Record | UserError]:
    """What `read` makes of each source, or why it cannot."""
    for source in sources:
        try:
            yield read(source)
        except UserError as error:
            yield error


def kept_or_png(encoded: bytes, pixels: UInt8[np.ndarray, "height width *channels"]) -> bytes:
    """A file as it is to be stored: a JPEG, with its end marker, or a PNG as it is; of others, a PNG of the pixels."""
    return with_end(encoded) if kind_of(encoded[:HEAD_BYTES]).format in _KEPT_FORMATS else encode_png(pixels)


def _example(record: Record, names: Iterable[str]) -> dict[str, Any]:
    fields = {
        "image": io.BytesIO(record.image),
        "mask": io.BytesIO(record.mask),
        "name": shown(record.name),  # Names of files need not be UTF-8, but those in a set.
        "authentic": record.authentic,
        "origins": "\n".join(map(shown, record.photographs.split("\n"))),
    }
    return {name: fields[name] for name in names}


def is_prepared(builder: SpliceBuilder) -> bool:
    """Whether the set is completely prepared."""
    return (builder.data_dir / "dataset_info.json").is_file()


def read_split(builder: SpliceBuilder, split: str) -> Any:
    """Random access to the undecoded examples of a prepared split, as dictionaries of bytes."""
    undecoded = {"image": tfds.decode.SkipDecoding(), "mask": tfds.decode.SkipDecoding()}
    return builder.opened.as_data_source(split, decoders=undecoded)
