"""What a photograph's metadata say: EXIF, XMP and the text that some formats carry. Bounded, and safe to show.

Where a photograph was taken is said to be known or not; coordinates are neither kept nor shown.
"""

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import ExifTags, Image

from splice_jax.errors import printable
from splice_jax.images import opened

MOST_FIELDS, MOST_CHARACTERS = 120, 200
_XMP = re.compile(rb"<x:xmpmeta.{0,1000000}?</x:xmpmeta>", re.DOTALL)
_TOOL = rb"(?:xmp:CreatorTool|stEvt:softwareAgent)"
_CREATOR = re.compile(rb"\s" + _TOOL + rb"=\"([^\"]{1,200})\"|<" + _TOOL + rb">([^<]{1,200})<")
_GENERATED = b"trainedAlgorithmicMedia"
_TEXTS = ("Software", "Comment", "Description", "Source", "parameters", "comment")
_GPS, _DETAILS = ExifTags.IFD.GPSInfo, ExifTags.IFD.Exif
_PADDING = {"ExifOffset", "GPSInfo", "MakerNote", "UserComment", "PrintImageMatching", "XMLPacket", "InterColorProfile"}


@dataclass
class Metadata:
    """What was found; empty fields where there was nothing."""

    exif: dict[str, str] = field(default_factory=dict)
    """Readable EXIF fields by their standard names."""
    gps: bool = False
    """Whether EXIF says where the photograph was taken."""
    gps_date: str = ""
    """Day of the satellites' clock, UTC, as `2024:05:17`."""
    text: dict[str, str] = field(default_factory=dict)
    """Text outside EXIF: PNG's, a JPEG's comment."""
    tools: list[str] = field(default_factory=list)
    """Programs that XMP names, in order."""
    generated: bool = False
    """Whether XMP declares the picture to be made by a trained generator (IPTC digital source type)."""
    problem: str = ""
    """Why EXIF could not be read, though there is some."""

    @property
    def software(self) -> list[str]:
        """All programs that are named, each once."""
        named = [self.exif.get("Software", ""), self.text.get("Software", ""), *self.tools]
        return list(dict.fromkeys(filter(None, named)))

    @property
    def camera(self) -> str:
        """Maker and model, without saying the maker twice; empty where neither is given."""
        make, model = self.exif.get("Make", ""), self.exif.get("Model", "")
        return model if model.lower().startswith(make.lower()) else f"{make} {model}".strip()


def read_metadata(encoded: bytes) -> Metadata:
    """The metadata of an image file. Never raises: what cannot be parsed is left out and named in `problem`."""
    found = Metadata()
    try:
        with opened(encoded) as image:
            _read_exif(image, found)
            found.text = dict(_texts(image.info))
    except Exception as error:  # Broken metadata make Pillow raise almost anything.
        found.problem = f"broken ({printable(type(error).__name__)})"
    for packet in _packets(encoded):
        found.tools += [_shown(first or second) for first, second in _CREATOR.findall(packet)][:MOST_FIELDS]
        found.generated |= _GENERATED in packet
    found.tools = list(dict.fromkeys(found.tools))
    return found


def moment(text: str) -> datetime.datetime | None:
    """A moment as EXIF writes it; None where it is no moment.

    >>> moment("2024:05:17 09:30:00")
    datetime.datetime(2024, 5, 17, 9, 30)
    """
    try:
        return datetime.datetime.strptime(text.strip()[:19], "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None


def _read_exif(image: Image.Image, found: Metadata) -> None:
    exif = image.getexif()
    details, place = exif.get_ifd(_DETAILS), exif.get_ifd(_GPS)
    found.gps = any(tag in place for tag in (ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLongitude))
    found.gps_date = _shown(place.get(ExifTags.GPS.GPSDateStamp, ""))
    for name, value in [*_named(dict(exif)), *_named(details)][:MOST_FIELDS]:
        found.exif.setdefault(name, value)


def _named(fields: Mapping[int, object]) -> Iterator[tuple[str, str]]:
    for tag, value in sorted(fields.items()):
        name = ExifTags.TAGS.get(tag, "")
        if name and name not in _PADDING and (shown := _shown(value)):
            yield name, shown


def _shown(value: object) -> str:
    """A value as text; empty for what is no text, number or short list of numbers."""
    if isinstance(value, bytes):
        value = value[: 4 * MOST_CHARACTERS].strip(b"\x00 ").decode("utf-8", "replace")
        if "\ufffd" in value or not value.isprintable():
            return ""
    if isinstance(value, tuple | list):
        return " ".join(_shown(each) for each in value[:8])
    if isinstance(value, Mapping):
        return ""
    text = str(value)[: 4 * MOST_CHARACTERS].replace("\x00", " ")
    return printable(" ".join(text.split()), MOST_CHARACTERS)


def _texts(info: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    for name in _TEXTS:
        value = info.get(name)
        if isinstance(value, str | bytes) and (shown := _shown(value)):
            yield name, shown


def _packets(encoded: bytes) -> Iterator[bytes]:
    """XMP packets, wherever in the file they stand."""
    start = encoded.find(b"<x:xmpmeta")
    if start >= 0 and (match := _XMP.match(encoded, start)):
        yield match[0]
