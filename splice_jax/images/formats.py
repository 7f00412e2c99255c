"""What a file is, by its first bytes: names and endings are not trusted."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from splice_jax.files import refuse_broken_link

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".avif", ".heic", ".heif"}
)
"""Lower-case suffixes that promise an image: such a file in a folder counts as one even if its content is none."""

HEAD_BYTES = 1024
READABLE = {
    "JPEG": "JPEG", "PNG": "PNG", "TIFF": "TIFF", "BMP": "BMP", "WEBP": "WebP", "GIF": "GIF", "AVIF": "AVIF",
    "HEIF": "HEIC",
}  # fmt: skip
"""Formats that are read, Pillow's name -> the usual one; HEIF with the extra `[heif]`."""

ACCEPTED = "a {}, {}, {}, {}, {}, {}, {} or {}".format(*READABLE.values())

_AS_PNG = "save it as PNG or TIFF"
_DEVELOP = "develop it and give the JPEG or TIFF; its preview is another picture"
_SIGNATURES = (
    (r"\xff\xd8\xff", "JPEG"),
    (r"\x89PNG\r\n\x1a\n", "PNG"),
    (r"II[*+]\0|MM\0[*+]", "TIFF"),
    (r"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", "BMP"),
    (r"RIFF.{4}WEBP", "WEBP"),
    (r"GIF8[79]a", "GIF"),
    (r".{4}ftyp(?:avif|avis)", "AVIF"),
    (r".{4}ftyp(?:hei[cxms]|hev[cxms])", "HEIF"),
    (r".{4}ftypm[is]f1.{4}(?:.{4})*?av(?:if|is)", "AVIF"),
    (r".{4}ftypm[is]f1", "HEIF"),
)
REFUSED = (
    (r".{4}ftypcrx |II\*\0.{4}CR\x02|FUJIFILMCCD-RAW|IIU\0|II(?:RO|RS)|MMOR|\0MRM|FOVb", "a raw photograph", _DEVELOP),
    (r"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL file", _AS_PNG),
    (r"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "a JPEG 2000 file", _AS_PNG),
    (r"8BPS", "a Photoshop file", _AS_PNG),
    (r"\x76\x2f\x31\x01", "an OpenEXR file of floating-point pixels", _AS_PNG),
    (r"#\?RADIANCE|#\?RGBE", "a Radiance file of floating-point pixels", _AS_PNG),
    (r"P[1-7fF]\s", "a Netpbm file", _AS_PNG),
    (r"II\xbc\x01", "a JPEG XR file", _AS_PNG),
    (r"\0\0[\1\2]\0[^\0]\0|icns", "an icon", _AS_PNG),
    (r"DDS |qoif", "a texture (DDS, QOI)", _AS_PNG),
    (r"gimp xcf", "a GIMP file", _AS_PNG),
    (r".{128}DICM", "a DICOM file", _AS_PNG),
    (r"SIMPLE  =", "a FITS file", _AS_PNG),
    (r"\x89PNG\r\n\x1a\n.{4}CgBI", "a PNG in Apple's own form (CgBI)", "save it as ordinary PNG"),
    (r"\x89PNG(?!\r\n\x1a\n).{4}", "a PNG whose line ends were changed", "copy it again, not as a text"),
)
"""Images that are not read: how they begin, what they are, and what to do."""
_MARK = r"(?:\xef\xbb\xbf)?\s*"
_XML = _MARK + r"(?:<\?[^>]*>\s*|<!--(?:(?!-->).)*-->\s*)*"
"""What may stand before the first element: a byte order mark, a declaration, comments. A comment cannot reach beyond
its end, else many of them could be split in twice as many ways for each more."""
NO_IMAGES = (
    (r"%PDF-", "a PDF document; export the picture from it"),
    (r"%!PS|\xc5\xd0\xd3\xc6", "a PostScript drawing; export the picture from it"),
    (_XML + r"<(?i:svg|!doctype\s+svg)", "an SVG drawing, which has no pixels of its own"),
    (_XML + r"<(?i:!doctype|html|head)", "a web page; fetch the image itself"),
    (_MARK + r"<\?xml", "an XML text, often a server's error; fetch the image itself"),
    (r"version https://git-lfs", "a pointer of Git LFS; fetch the file itself: git lfs pull"),
    (r"PK\x03\x04", "an archive; unpack it"),
    (r"\x1f\x8b|7z\xbc\xaf|Rar!|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|.{257}ustar", "an archive; unpack it"),
    (r".{4}ftyp|\x1a\x45\xdf\xa3", "a video; export the frame as PNG"),
)
"""What is no image: how it begins, and what it is."""


class Kind(NamedTuple):
    """What a file's first bytes say: its format if it can be read, else why not."""

    format: str = ""
    """A name in `READABLE`, or "" if it is none of them."""
    reason: str = ""
    """Why it cannot be read and what to do; "" if it can."""
    image: bool = True
    """Whether it is an image of any kind."""


def kind_of(head: bytes) -> Kind:
    """What a file is whose content begins with `head`, `HEAD_BYTES` or all there are.

    >>> kind_of(b"GIF89a").format, kind_of(b"8BPS").reason
    ('GIF', 'a Photoshop file, which is not read; save it as PNG or TIFF')
    """
    for what, title, way_out in REFUSED:
        if _begins(what, head):
            return Kind(reason=f"{title}, which is not read; {way_out}")
    for what, name in _SIGNATURES:
        if _begins(what, head):
            return Kind(name)
    for what, title in NO_IMAGES:
        if _begins(what, head):
            return Kind(reason=f"not an image but {title}", image=False)
    if not head:
        return Kind(reason="an empty file; get a whole copy of it", image=False)
    if not head.strip(b"\0"):
        return Kind(
            reason="not an image: nothing but zeros, as after an unfinished copy; get a whole copy", image=False
        )
    is_text = re.fullmatch(rb"[\t\n\r\f\x1b\x20-\x7e\x80-\xff]+", head) and _is_text(head)
    what = " but a text" if is_text else " that is known here, by its first bytes"
    return Kind(reason=f"not an image{what}; give {ACCEPTED}", image=False)


class Listing(NamedTuple):
    """The visible files of a folder: images in order of name, and what the others are, by suffix."""

    images: list[Path]
    others: Counter[str]


def listing(paths: Iterable[Path]) -> Listing:
    """Tells images from other files by their content; hidden files and folders are left out.

    A file whose suffix promises an image is one in any case, so that damage is reported, not passed over.
    """
    images, others = [], Counter[str]()
    for path in paths:
        if path.name.startswith(".") or path.is_dir():
            continue
        if is_image(path):
            images.append(path)
        else:
            others[path.suffix.lower() or "no suffix"] += 1
    return Listing(images, others)


def is_image(path: Path) -> bool:
    """Whether a file's suffix promises an image or its content is one; broken links by their suffix."""
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    if not path.is_file():  # Opening a pipe could wait for ever.
        return False
    try:
        with open(path, "rb") as file:
            return kind_of(file.read(HEAD_BYTES)).image
    except OSError:
        return False


def images_in(folder: Path) -> Listing:
    """The images directly in a folder, in order of name.

    Raises:
      UserError: one of them is a broken link.
    """
    found = listing(sorted(folder.iterdir(), key=os.fspath))
    for path in found.images:
        refuse_broken_link(path)
    return found


def told(others: Counter[str]) -> str:
    """What was passed over, in words; "" if nothing was.

    >>> told(Counter({".csv": 2, "no suffix": 1}))
    '3 files that are no images were passed over (.csv 2, no suffix 1)'
    """
    number = others.total()
    kinds = ", ".join(f"{suffix} {count}" for suffix, count in sorted(others.items()))
    files = "1 file that is no image was" if number == 1 else f"{number} files that are no images were"
    return f"{files} passed over ({kinds})" if number else ""


def _begins(pattern: str, head: bytes) -> bool:
    return re.match(pattern.encode("latin-1"), head, re.DOTALL) is not None


def _is_text(head: Sequence[int] | bytes) -> bool:
    """Whether bytes are UTF-8, but for a character cut at the end of a longer file's head."""
    try:
        bytes(head).decode()
    except UnicodeDecodeError as error:
        return len(head) == HEAD_BYTES and error.start >= len(head) - 3
    return True
