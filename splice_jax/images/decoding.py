"""Pillow without its limit of pixels, which ours replaces, and with plain words for what goes wrong in it."""

import contextlib
import ctypes
import functools
import io
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from PIL import Image

from splice_jax.errors import UserError
from splice_jax.images.formats import READABLE

_LOCK = threading.Lock()
_NOT_READ = re.compile(r"unsupported|not (?:supported|available|installed)|unknown|cannot handle", re.I)
_ENDS_EARLY = re.compile(r"truncated|incomplete|not enough|end of|unexpected end", re.I)


@contextlib.contextmanager
def opened(encoded: bytes, form: str = "") -> Iterator[Image.Image]:
    """Pillow's image of a file, not decoded yet, however many pixels it says it has.

    Until the image is closed, no other thread opens one, and neither libtiff nor Pillow write to stderr.

    Args:
      encoded: the file.
      form: its format, a name in `READABLE`; "" for any that Pillow knows.
    """
    with _LOCK, _without_limit(), silent_libtiff(), _silent_log(), warnings.catch_warnings():
        # Pillow warns about large pictures and odd metadata; what matters is checked here.
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(encoded), formats=(form,) if form else None) as image:
            yield image


def refusal(error: Exception, encoded: bytes, form: str, title: str) -> UserError:
    """What the user is told of an error of Pillow's, which raises almost anything and names its own functions.

    Args:
      error: what was raised.
      encoded: the file.
      form: its format, a name in `READABLE`.
      title: what to call the file.
    """
    name, said = READABLE[form], str(error)
    if isinstance(error, MemoryError):
        return UserError(f"{title}: out of memory when it was read; scale it down")
    if _NOT_READ.search(said):
        return UserError(f"{title}: a kind of {name} that is not read, or a damaged one; save it as PNG or 8-bit TIFF")
    reason = (
        f"the {name}'s data end before the picture does" if _is_cut(encoded, form) or _ENDS_EARLY.search(said)
        else f"no valid {name} header" if isinstance(error, Image.UnidentifiedImageError)
        else f"the {name}'s data are damaged, they make no picture"
    )  # fmt: skip
    return UserError(f"{title}: broken or truncated ({reason}); get a whole copy of it")


def _is_cut(encoded: bytes, form: str) -> bool:
    """Whether a file is shorter than its own lengths say; False where a format has none."""
    if form == "GIF":
        return not encoded.rstrip(b"\0").endswith(b";")
    if form == "PNG":
        return b"IEND" not in encoded[-64:]
    if form in ("AVIF", "HEIF"):
        return _boxes_end(encoded) > len(encoded)
    place = {"BMP": slice(2, 6), "WEBP": slice(4, 8)}.get(form, slice(0))
    return int.from_bytes(encoded[place], "little") + (8 if form == "WEBP" else 0) > len(encoded)


def _boxes_end(encoded: bytes) -> int:
    """Where the outermost boxes of an ISO media file say that the last of them ends."""
    end = 0
    while 0 <= end <= len(encoded) - 8:
        size = int.from_bytes(encoded[end : end + 4])
        if size == 1:
            size = int.from_bytes(encoded[end + 8 : end + 16])
        if size < 8:  # 0: up to the end of the file.
            return len(encoded)
        end += size
    return end


@contextlib.contextmanager
def _without_limit() -> Iterator[None]:
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


@contextlib.contextmanager
def _silent_log() -> Iterator[None]:
    """Pillow without what it logs of odd tags, which Python shows on stderr."""
    log = logging.getLogger("PIL")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)


@contextlib.contextmanager
def silent_libtiff() -> Iterator[None]:
    """libtiff without the function that writes its errors to stderr; Pillow raises them, too."""
    set_handler = _handler_setter()
    before = set_handler(None)
    try:
        yield
    finally:
        set_handler(before)


@functools.cache
def _handler_setter() -> Any:
    """The `TIFFSetErrorHandler` of Pillow's libtiff; where it cannot be asked for, a function that does nothing."""
    try:
        setter = ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler
    except (OSError, AttributeError):
        return lambda handler: handler
    setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
    return setter
