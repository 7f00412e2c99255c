"""Reading any photograph into one form, RGB with 8 bits per channel, and writing PNG.

Pixels are interpreted as little as possible, because they are the evidence: alpha is dropped, not composited, so that
hidden colours are seen and none is invented; colour profiles are not applied; 16-bit values keep their upper 8 bits. Of
an animation or a file with several pages, the first picture is read.
"""

import io
import os
import warnings
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Bool, Float32, Shaped, UInt8, UInt16
from PIL import Image

from splice_jax.errors import UserError, one_line

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff", ".bmp", ".webp"})
"""Lower-case suffixes of files that count as images when a folder is read."""

RESIDUAL_SAMPLES = 2**18
LEAST_RESIDUAL = 0.001
THUMBNAIL_SIZE = 224
MAX_PIXELS = 100_000_000

_TOO_LARGE = f"{{}}: over {MAX_PIXELS // 10**6} megapixels; scale it down or cut it"
_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
_BOMB_PIXELS, _BOMB_BYTES_PER_PIXEL = 16_000_000, 0.02
_STRIP_ROWS = 256
_ORIENTATION, _BITS_PER_SAMPLE, _PHOTOMETRIC = 0x0112, 0x0102, 0x0106

Pixels = UInt8[np.ndarray, "height width"] | UInt8[np.ndarray, "height width 3"]
Pictures = UInt8[np.ndarray, "height width 3"] | UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]


def read_image(source: str | Path | bytes, *, name: str = "") -> UInt8[np.ndarray, "height width 3"]:
    """Reads a JPEG, PNG, TIFF, BMP or WebP of any colour type as RGB, upright by its EXIF orientation.

    Args:
      source: a path, or the bytes of a file.
      name: what to call it in errors; by default the path.

    Raises:
      UserError: no such file, another format, a truncated or broken file, floating-point or 32-bit values (their white
        point is unknown), over 100 megapixels, or a decompression bomb: over 16 megapixels from less than 0.02 byte
        per pixel. The last two are refused before decoding.
    """
    pixels = _read(source, name)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)


def read_mask(source: str | Path | bytes, *, name: str = "") -> Bool[np.ndarray, "height width"]:
    """Reads a ground-truth mask, 255 = spliced: True where its grey value is above 127.

    Raises:
      UserError: as `read_image`, and for a coloured picture or one with values 0 and 1, which would need guessing.
    """
    pixels = _read(source, name)
    if pixels.max() == 1:
        raise UserError(f"{_title(source, name)}: a mask's largest value is 1; multiply it by 255 (255 = spliced)")
    spliced = pixels > 127
    if spliced.ndim == 2:
        return spliced
    if np.count_nonzero(spliced.any(axis=2) != spliced.all(axis=2)) > spliced[:, :, 0].size / 100:
        raise UserError(f"{_title(source, name)}: a mask in colours; give a grey one, 255 = spliced and 0 = authentic")
    return spliced[:, :, 1]


def pixels_stated(encoded: bytes) -> int:
    """How many pixels a file says it has, without decoding any; 0 where it is no image that `read_image` reads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(encoded), formats=_FORMATS) as image:
                return image.width * image.height
        except Exception:  # `read_image` says what is wrong.
            return 0


def encode_png(pixels: Pictures | Bool[np.ndarray, "height width"]) -> bytes:
    """A PNG of RGB, 8-bit grey, 16-bit grey or boolean pixels; booleans are written as 0 and 255."""
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG")
    return encoded.getvalue()


def resize(
    image: UInt8[np.ndarray, "height width 3"], size: tuple[int, int]
) -> UInt8[np.ndarray, "new_height new_width 3"]:
    """The whole image at `size` (height, width), resized by Pillow's Lanczos filter, which averages when shrinking."""
    height, width = size
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def resize_map(
    probability: Float32[np.ndarray, "height width"], size: tuple[int, int]
) -> Float32[np.ndarray, "new_height new_width"]:
    """A map at `size` (height, width), resized bilinearly, averaging when shrinking; still in [0, 1]."""
    if probability.shape == size:
        return probability
    resized = Image.fromarray(probability).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.array(resized, np.float32).clip(0, 1)


def nearest(pixels: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Pixels of any type at another (height, width), by nearest neighbour: each takes the value at its centre."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(size, pixels.shape, strict=True)
    )
    return pixels[np.ix_(rows, columns)]


def _title(source: str | Path | bytes, name: str) -> str:
    return name or ("image" if isinstance(source, bytes) else str(source))


def _read(source: str | Path | bytes, name: str) -> Pixels:
    title = _title(source, name)
    try:
        encoded = io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{title}: cannot be opened ({reason}); check the path") from error
    with encoded, warnings.catch_warnings():
        # Pillow warns about large pictures and odd metadata; what matters is checked here.
        warnings.simplefilter("ignore")
        try:
            return _decode(encoded, title)
        except UserError:
            raise
        except MemoryError as error:
            raise UserError(f"{title}: out of memory when it was read; scale it down") from error
        except Image.DecompressionBombError as error:
            raise UserError(_TOO_LARGE.format(title)) from error
        except Image.UnidentifiedImageError as error:
            raise UserError(f"{title}: not an image that can be read; give a JPEG, PNG, TIFF, BMP or WebP") from error
        except Exception as error:  # Broken files make Pillow raise almost anything.
            raise UserError(f"{title}: broken or truncated ({one_line(error)}); get a whole copy of it") from error


def _decode(encoded: IO[bytes], title: str) -> Pixels:
    size = encoded.seek(0, os.SEEK_END)
    if not size:
        raise UserError(f"{title}: an empty file; get a whole copy of it")
    encoded.seek(0)
    with Image.open(encoded, formats=_FORMATS) as image:
        _refuse_too_large(image.width * image.height, size, title)
        _refuse_unscaled(image.mode, title)
        image.load()
        return upright(_pixels(image), exif_orientation(image))


def _refuse_too_large(pixels: int, size: int, title: str) -> None:
    if pixels > MAX_PIXELS:
        raise UserError(_TOO_LARGE.format(title))
    if pixels > _BOMB_PIXELS and size < _BOMB_BYTES_PER_PIXEL * pixels:
        raise UserError(
            f"{title}: {pixels / 1e6:.0f} megapixels packed into {size} bytes is a decompression bomb, "
            "not a photograph; leave it out"
        )


def _refuse_unscaled(mode: str, title: str) -> None:
    if mode in ("I", "F"):
        kind = "floating point" if mode == "F" else "32-bit or signed"
        raise UserError(f"{title}: {kind} pixels have no agreed white; save it with 8 or 16 bits per channel")


def _pixels(image: Image.Image) -> Pixels:
    """The picture as an array, converted strip by strip: at 100 megapixels, another whole copy would be too much."""
    first = _strip(image, 0)
    pixels = np.empty((image.height, *first.shape[1:]), np.uint8)
    for top in range(0, image.height, _STRIP_ROWS):
        pixels[top : top + _STRIP_ROWS] = _strip(image, top)
    return pixels


def _strip(image: Image.Image, top: int) -> Pixels:
    strip = image.crop((0, top, image.width, min(top + _STRIP_ROWS, image.height)))
    if strip.mode.startswith("I;16"):
        return _upper_8_bits(np.asarray(strip), image)
    if strip.mode == "La":  # Premultiplied alpha, which Pillow cannot convert in one step.
        strip = strip.convert("LA")
    return np.asarray(strip.convert("L" if strip.mode in ("1", "L") else "RGB"))


def _upper_8_bits(values: UInt16[np.ndarray, "height width"], image: Image.Image) -> UInt8[np.ndarray, "height width"]:
    """8-bit grey from 16 bits, or 12 in some TIFFs; Pillow leaves values as stored, even if 0 means white."""
    tags = getattr(image, "tag_v2", {})
    grey = (values >> (tags.get(_BITS_PER_SAMPLE, (16,))[0] - 8)).astype(np.uint8)
    return ~grey if tags.get(_PHOTOMETRIC) == 0 else grey


def exif_orientation(image: Image.Image) -> int:
    """The EXIF orientation of the stored pixels: 1 … 8, and 1 if the file does not say."""
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Metadata too broken for Pillow to parse say nothing about the pixels.
        return 1


def upright(
    pixels: Shaped[np.ndarray, "height width *channels"], orientation: int
) -> Shaped[np.ndarray, "upright_height upright_width *channels"]:
    """Turns stored pixels, or a map of them, upright by the EXIF orientation; unchanged unless it is 2 … 8."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def residual_level(image: UInt8[np.ndarray, "height width 3"]) -> np.float32:
    """How much pixels differ from their 3x3 means: the median over pixels of the mean absolute difference.

    In units of 255, at least `LEAST_RESIDUAL`. In a large image, about `RESIDUAL_SAMPLES` regularly spaced pixels are
    looked at. Their spacing is odd: an even one would only see one site of the camera's colour filter array, which
    differs from the others.
    """
    height, width = image.shape[:2]
    step = 1 + 2 * max(0, round(((height * width / RESIDUAL_SAMPLES) ** 0.5 - 1) / 2))
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    shifted = [padded[y : y + height : step, x : x + width : step] for y in range(3) for x in range(3)]
    mean = np.sum(shifted, axis=0, dtype=np.uint16) / np.float32(9)
    difference = np.abs(shifted[4] - mean).mean(axis=2)
    return np.float32(max(np.median(difference) / 255, LEAST_RESIDUAL))


def thumbnail(image: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "224 224 3"]:
    """The whole image at the fixed size that the global network sees."""
    return resize(image, (THUMBNAIL_SIZE, THUMBNAIL_SIZE))
