"""Everything that is known of a photograph's file before any row looks at its pixels."""

import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageCms

from splice_jax.errors import printable
from splice_jax.examination.file.credentials import read_credentials
from splice_jax.examination.file.earlier import EarlierJpeg, find_earlier_jpeg
from splice_jax.examination.file.jpeg_structure import Structure, read_structure
from splice_jax.examination.file.metadata import Metadata, read_metadata
from splice_jax.examination.file.quality import Quality, estimate
from splice_jax.examination.file.thumbnail import Thumbnail, read_thumbnail
from splice_jax.images import exif_orientation, opened
from splice_jax.images.formats import HEAD_BYTES, kind_of


@dataclass
class Facts:
    """A photograph's file."""

    name: str
    size: int
    """Bytes."""
    sha256: str
    format: str
    """As Pillow names it: `JPEG`, `PNG`, ..."""
    width: int
    """Pixels as stored, before the orientation is applied; so is `height`."""
    height: int
    mode: str
    """How pixels are stored: `RGB`, `L`, ..."""
    orientation: int
    """EXIF orientation, 1 … 8."""
    profile: str
    """Name of the ICC profile; empty where there is none."""
    metadata: Metadata
    jpeg: Structure | None
    """None for other files."""
    qualities: dict[str, Quality]
    """By `luma` and `chroma`, the estimated quality of a JPEG."""
    thumbnail: Thumbnail | None
    credentials: list[str] = field(default_factory=list)
    earlier_jpeg: EarlierJpeg | None = None
    """What the pixels of another file were decoded from; None for JPEGs, and where they do not show it."""


def read_facts(encoded: bytes, image: UInt8[np.ndarray, "height width 3"], name: str) -> Facts:
    """The facts of a file that `read_image` could read.

    Args:
        encoded: the file.
        image: its pixels, upright.
        name: the file's name, without its folder.
    """
    jpeg = read_structure(encoded)
    kind, (width, height), mode, orientation, profile = _by_pillow(encoded) or (
        kind_of(encoded[:HEAD_BYTES]).format, image.shape[1::-1], "unknown", 1, ""
    )  # fmt: skip
    return Facts(
        name=printable(name.encode(errors="backslashreplace").decode(), 200),
        size=len(encoded),
        sha256=hashlib.sha256(encoded).hexdigest(),
        format=kind,
        width=width,
        height=height,
        mode=mode,
        orientation=orientation,
        profile=profile,
        metadata=read_metadata(encoded),
        jpeg=jpeg,
        qualities=_qualities(jpeg),
        thumbnail=read_thumbnail(encoded, image),
        credentials=read_credentials(encoded, kind),
        earlier_jpeg=None if jpeg else find_earlier_jpeg(image),
    )


def _by_pillow(encoded: bytes) -> tuple[str, tuple[int, int], str, int, str] | None:
    """Format, stored size, mode, orientation and profile; None for the TIFFs that only we read."""
    try:
        with opened(encoded) as image:
            profile = _profile(image.info.get("icc_profile"))
            return _known(image.format or ""), image.size, image.mode, exif_orientation(image), profile
    except Exception:  # Broken files make Pillow raise almost anything.
        return None


def suffix_format(name: str) -> str:
    """The format that a file's name promises, as Pillow names it; empty for a suffix that Pillow does not know.

    >>> suffix_format("photo.JPG")
    'JPEG'
    """
    return _known(Image.registered_extensions().get(Path(name).suffix.lower(), ""))


def _known(kind: str) -> str:
    """MPO is what Pillow calls a JPEG with another one behind it, as phones write."""
    return "JPEG" if kind == "MPO" else kind


def _qualities(jpeg: Structure | None) -> dict[str, Quality]:
    tables = jpeg.tables if jpeg else {}
    found = {"luma": estimate(tables[0])} if 0 in tables else {}
    return {**found, "chroma": estimate(tables[1], chroma=True)} if 1 in tables else found


def _profile(content: object) -> str:
    if not isinstance(content, bytes) or not content:
        return ""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(content))
        return printable(" ".join(ImageCms.getProfileDescription(profile).split())) or "unnamed"
    except Exception:  # The colour library raises almost anything for a broken profile.
        return "unreadable"
