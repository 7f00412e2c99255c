"""Reading any photograph as RGB with 8 bits per channel, or refusing it with the true reason."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from splice_jax.errors import UserError
from splice_jax.files import read_bytes
from splice_jax.images import jpeg_markers, png_chunks, tiff_pixels, tiff_tags
from splice_jax.images.decoding import opened, refusal
from splice_jax.images.formats import HEAD_BYTES, kind_of
from splice_jax.images.orientation import exif_orientation, inverse, upright

MEGAPIXELS, MEGAPIXELS_FIELD = 100, "SPLICE_JAX_MAX_MEGAPIXELS"
"""The most megapixels an image or a mask may have, and the environment variable that changes this."""

_STRIP_ROWS = 256
_BYTES_PER_PIXEL, _LEAST_BYTES = 16, 2**28
"""A larger file than so many bytes for each pixel that it may have is not even looked at."""

Pixels = UInt8[np.ndarray, "height width"] | UInt8[np.ndarray, "height width 3"]


class Picture(NamedTuple):
    """A picture as it is to be seen, and what is to be said about its file."""

    pixels: Pixels
    """Upright."""
    orientation: int = 1
    """The EXIF orientation that the stored pixels were turned by, 1 … 8."""
    notes: tuple[str, ...] = ()
    """Warnings, without the file's name."""


class Stored(NamedTuple):
    """What a file stores, before it is turned upright and reduced to 8 bits."""

    values: np.ndarray
    """uint8 or uint16, [height, width] grey or [height, width, 3] RGB."""
    white: int
    """The largest value that the file's type can hold: 255, 65535, or 4095 in 12 bits."""
    orientation: int
    lossy: bool
    notes: tuple[str, ...] = ()
    alpha: tuple[int, int] | None = None
    """The lowest and the highest alpha, where there is one and it was asked for."""
    halved: bool = False
    """Whether `values` are only the upper 8 of 16 bits."""


def pixels_stated(encoded: bytes) -> int:
    """How many pixels a file says it has, without decoding any; 0 where it is no image that Pillow knows."""
    try:
        with opened(encoded) as image:
            return image.width * image.height
    except Exception:  # `read_image` says what is wrong.
        return 0


def read_image(source: str | Path | bytes, *, name: str = "") -> UInt8[np.ndarray, "height width 3"]:
    """Reads an image file of any colour type as RGB, upright by its EXIF orientation.

    Args:
      source: a path, or the bytes of a file.
      name: what to call it in errors; by default the path.

    Raises:
      UserError: no such file, a format or kind of pixels that is not read, a truncated or broken file, or more
        megapixels than are allowed. What can be is refused before decoding.
    """
    return in_colour(read_picture(source, name=name).pixels)


def in_colour(pixels: Pixels) -> UInt8[np.ndarray, "height width 3"]:
    """Grey as RGB; RGB as it is."""
    return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)


def read_picture(source: str | Path | bytes, *, name: str = "") -> Picture:
    """Like `read_image`, with grey left as one channel, and with what the user has to be told about the file."""
    stored = read_stored(source, name)
    return Picture(upright(_upper_8_bits(stored), stored.orientation), stored.orientation, stored.notes)


def read_stored(source: str | Path | bytes, name: str = "", *, with_alpha: bool = False) -> Stored:
    """What a file stores. Raises UserError as `read_image`."""
    title = title_of(source, name)
    encoded = source if isinstance(source, bytes) else read_bytes(source, name=name, most=most_bytes())
    kind = kind_of(encoded[:HEAD_BYTES])
    if not kind.format:
        raise UserError(f"{title}: {kind.reason}")
    try:
        return _DECODERS.get(kind.format, _decode)(encoded, kind.format, title, with_alpha)
    except UserError:
        raise
    except Exception as error:
        raise refusal(error, encoded, kind.format, title) from error


def title_of(source: str | Path | bytes, name: str) -> str:
    """What to call a file in errors."""
    return name or ("image" if isinstance(source, bytes) else str(source))


def most_pixels() -> int:
    """How many pixels an image or a mask may have.

    Raises:
      UserError: the environment variable is no positive number.
    """
    text = os.environ.get(MEGAPIXELS_FIELD, "") or str(MEGAPIXELS)
    try:
        if (megapixels := float(text)) > 0:
            return round(megapixels * 10**6)
    except (ValueError, OverflowError):
        pass
    raise UserError(f"{MEGAPIXELS_FIELD}: {text!r} is no positive number of megapixels; unset it or give one")


def most_bytes() -> int:
    """How many bytes an image file may have."""
    return max(_LEAST_BYTES, _BYTES_PER_PIXEL * most_pixels())


def _refuse_too_large(width: int, height: int, title: str) -> None:
    most = most_pixels()
    if max(width, height) >= 2**31:  # Negative, in a BMP.
        raise UserError(
            f"{title}: broken or truncated (no picture has {width} x {height} pixels); get a whole copy of it"
        )
    if width * height > most:
        raise UserError(
            f"{title}: {width} x {height} pixels, over {most / 10**6:g} megapixels; scale it down or cut it, or set "
            f"{MEGAPIXELS_FIELD} to more"
        )
    if not width * height:
        raise UserError(f"{title}: {width} x {height}: an image without pixels; get a whole copy of it")


def _decode(encoded: bytes, form: str, title: str, with_alpha: bool) -> Stored:
    """What Pillow reads."""
    with opened(encoded, form) as image:
        _refuse_too_large(*image.size, title)
        return _stored(image, form == "AVIF" or form == "HEIF" or _is_lossy_webp(encoded, form), with_alpha)


def whole_jpeg(encoded: bytes, title: str) -> bytes:
    """A JPEG with its end marker, which it gets if it is all that is missing.

    Raises:
      UserError: more is missing, if only a bit of the picture.
    """
    if jpeg_markers.has_end(encoded):
        return encoded
    if not jpeg_markers.lacks_only_its_end(encoded) or not all(
        _decode_alike(files, title) for files in jpeg_markers.trials(encoded)
    ):
        raise _cut_jpeg(title)
    return jpeg_markers.with_end(encoded)


def _cut_jpeg(title: str) -> UserError:
    return UserError(
        f"{title}: broken or truncated (the JPEG's data end before the picture does); get a whole copy of it"
    )


def _decode_alike(files: list[bytes], title: str) -> bool:
    """Whether JPEGs have the same pixels, before these are converted to RGB, which clips."""
    first = None
    for encoded in files:
        with opened(encoded, "JPEG") as image:
            _refuse_too_large(*image.size, title)
            image.draft("YCbCr" if image.mode == "RGB" else None, None)
            pixels = np.asarray(image)
        if first is not None and not np.array_equal(first, pixels):
            return False
        first = pixels
    return True


def _decode_jpeg(encoded: bytes, form: str, title: str, with_alpha: bool) -> Stored:
    jpeg_markers.refuse_unreadable(encoded, title)
    whole = whole_jpeg(encoded, title)
    with opened(whole, form) as image:
        _refuse_too_large(*image.size, title)
        stored = _stored(image, True, with_alpha)
    if whole is not encoded:
        return stored._replace(notes=("lacks the JPEG's end marker; all its pixels are there",))
    with opened(jpeg_markers.padded(encoded), form) as image:  # A cut file may have been given an end marker.
        same = np.array_equal(stored.values, _stored(image, True, False).values)
    if not same or not jpeg_markers.has_its_restarts(encoded):
        raise _cut_jpeg(title)
    return stored


def _decode_png(encoded: bytes, form: str, title: str, with_alpha: bool) -> Stored:
    with opened(png_chunks.checked(encoded, title), form) as image:
        _refuse_too_large(*image.size, title)
        png_chunks.refuse_short(encoded, title)
        stored = _stored(image, False, with_alpha)
    return stored._replace(halved=png_chunks.bit_depth(encoded) == 16 and stored.values.dtype == np.uint8)


def _decode_tiff(encoded: bytes, form: str, title: str, with_alpha: bool) -> Stored:
    """The page of a TIFF that is the picture, by Pillow where that is right."""
    pages = tiff_tags.directories(encoded, title)
    number = tiff_tags.picture_page(pages, encoded, title)
    page = pages[number]
    tiff_tags.refuse_unreadable(page, title)
    _refuse_too_large(page.value(tiff_tags.WIDTH), page.value(tiff_tags.LENGTH), title)
    full = sum(not each.is_reduced for each in pages)
    notes = (f"has {full} pages; the first is read",) if full > 1 else ()
    orientation = page.value(tiff_tags.ORIENTATION, 1)
    if tiff_pixels.applies(page):
        values, alpha = tiff_pixels.colours(tiff_pixels.samples(encoded, page, title), page)
        white = np.iinfo(values.dtype).max
        return Stored(values, white, orientation, False, notes, alpha)
    if encoded.startswith(b"MM\0+"):  # Pillow takes it for no TIFF.
        raise UserError(f"{title}: a BigTIFF with the high byte first, of a kind that is not read; save it as TIFF")
    lossy = page.value(tiff_tags.COMPRESSION, 1) in tiff_tags.LOSSY
    with opened(encoded, form) as image:
        image.seek(number)
        stored = _stored(image, lossy, with_alpha)
    if stored.orientation != orientation:  # Pillow has turned it upright.
        stored = stored._replace(values=upright(stored.values, inverse(orientation)))
    if stored.values.dtype == np.uint16:
        white = 2 ** page.bits[0] - 1
        inverted = page.value(tiff_tags.PHOTOMETRIC, 1) == tiff_tags.WHITE_IS_0  # Pillow leaves these as stored.
        stored = stored._replace(values=white - stored.values if inverted else stored.values, white=white)
    return stored._replace(orientation=orientation, notes=notes)


def _decode_heif(encoded: bytes, form: str, title: str, with_alpha: bool) -> Stored:
    try:
        import pillow_heif
    except ImportError as error:
        raise UserError(
            f'{title}: a HEIC file, which needs pillow-heif; install it by: pip install "splice_jax[heif]", or give a '
            "PNG or TIFF"
        ) from error
    pillow_heif.register_heif_opener()
    return _decode(encoded, form, title, with_alpha)


_DECODERS = {"JPEG": _decode_jpeg, "PNG": _decode_png, "TIFF": _decode_tiff, "HEIF": _decode_heif}


def _is_lossy_webp(encoded: bytes, form: str) -> bool:
    return form == "WEBP" and b"VP8L" not in encoded[:HEAD_BYTES]


def _stored(image: Image.Image, lossy: bool, with_alpha: bool) -> Stored:
    """The picture as an array, converted strip by strip: at 100 megapixels, another whole copy would be too much."""
    image.load()
    first = _strip(image, 0)
    values = np.empty((image.height, *first.shape[1:]), first.dtype)
    for top in range(0, image.height, _STRIP_ROWS):
        values[top : top + _STRIP_ROWS] = _strip(image, top)
    white = np.iinfo(values.dtype).max
    alpha = _alpha(image) if with_alpha else None
    return Stored(values, white, exif_orientation(image), lossy, alpha=alpha)


def _strip(image: Image.Image, top: int) -> np.ndarray:
    strip = image.crop((0, top, image.width, min(top + _STRIP_ROWS, image.height)))
    if strip.mode.startswith("I;16"):
        return np.asarray(strip).astype(np.uint16, copy=False)
    if strip.mode == "La":  # Premultiplied alpha, which Pillow cannot convert in one step.
        strip = strip.convert("LA")
    return np.asarray(strip.convert("L" if strip.mode in ("1", "L") else "RGB"))


def _alpha(image: Image.Image) -> tuple[int, int] | None:
    if "transparency" in image.info and image.mode in ("1", "L", "P", "RGB"):
        image = image.convert("RGBA")
    if image.mode not in ("LA", "PA", "RGBA", "La", "RGBa"):
        return None
    low, high = image.getchannel(image.getbands()[-1]).getextrema()
    return int(low), int(high)  # type: ignore[arg-type]


def _upper_8_bits(stored: Stored) -> Pixels:
    if stored.values.dtype == np.uint8:
        return stored.values
    shift = stored.white.bit_length() - 8
    return (stored.values >> shift).astype(np.uint8)
