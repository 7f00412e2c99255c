"""Readers of images, masks, JPEG coefficients and metadata."""

import contextlib
import io
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageCms

from benchmarks.fuzzing.reader import Reader
from splice_jax.errors import UserError
from splice_jax.examination.file.facts import read_facts
from splice_jax.examination.file.jpeg_structure import read_structure
from splice_jax.examination.file.metadata import read_metadata
from splice_jax.examination.file.thumbnail import read_thumbnail
from splice_jax.images import mask_of, pixels_stated, read_image
from splice_jax.images.reading import read_stored
from splice_jax.jpeg import NoCoefficientsError, read_planes


def _encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0110], exif[0x0132] = 6, "Maker", "Model 5", "2024:05:17 09:30:00"
    exif.get_ifd(0x8769).update({0x9003: "2024:05:17 09:30:00", 0x829A: (1, 60), 0x9286: b"ASCII\0\0\0comment"})
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 0x1D: "2024:05:17"})
    return exif


def _pictures() -> tuple[Image.Image, Image.Image]:
    """A photograph and a mask."""
    rng = np.random.default_rng(0)
    noisy = np.linspace(30, 220, 24 * 40 * 3).reshape(24, 40, 3) + rng.normal(0, 9, (24, 40, 3))
    mask = np.zeros((24, 40), np.uint8)
    mask[5:14, 8:30] = 255
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8)), Image.fromarray(mask)


def _jpegs(folder: Path) -> Mapping[str, bytes]:
    rgb, mask = _pictures()
    return {
        "rgb.jpg": _encoded(rgb, "JPEG"),
        "progressive.jpg": _encoded(rgb, "JPEG", progressive=True, quality=90),
        "restarts.jpg": _encoded(rgb, "JPEG", subsampling=0, restart_marker_blocks=2),
        "grey.jpg": _encoded(mask, "JPEG", comment=b"made for a test"),
        "cmyk.jpg": _encoded(rgb.convert("CMYK"), "JPEG"),
        "open.jpg": _encoded(rgb, "JPEG", restart_marker_blocks=2)[:-2],
        "open progressive.jpg": _encoded(rgb, "JPEG", progressive=True, restart_marker_blocks=2)[:-2],
    }


def _coefficients(folder: Path) -> Mapping[str, bytes]:
    rgb = _pictures()[0]
    others = {"rgb stored.jpg": _encoded(rgb, "JPEG", keep_rgb=True), "no.png": _encoded(rgb, "PNG")}
    return {**_jpegs(folder), **others, "small.jpg": _encoded(rgb.crop((0, 0, 9, 7)), "JPEG")}


def _images(folder: Path) -> Mapping[str, bytes]:
    rgb, mask = _pictures()
    found = {f"{form.lower()}": _encoded(rgb, form) for form in ("PNG", "BMP", "WEBP", "GIF", "AVIF")}
    found |= {f"{mode}.png": _encoded(rgb.convert(mode), "PNG") for mode in ("L", "LA", "P", "1", "RGBA")}
    found |= {f"{mode}.tif": _encoded(rgb.convert(mode), "TIFF") for mode in ("L", "P", "1", "RGB", "RGBA", "CMYK")}
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        found[f"{compression}.tif"] = _encoded(rgb, "TIFF", compression=compression)
    deep = Image.fromarray(np.asarray(mask).astype(np.uint16) * 257)
    found |= {"deep.tif": _encoded(deep, "TIFF", compression="tiff_lzw"), "deep.png": _encoded(deep, "PNG")}
    found |= {
        "pages.tif": _encoded(rgb, "TIFF", save_all=True, append_images=[mask]),
        "turned.tif": _encoded(rgb, "TIFF", exif=_exif()),
        "lossless.webp": _encoded(rgb, "WEBP", lossless=True, exif=_exif()),
        "frames.gif": _encoded(rgb, "GIF", save_all=True, append_images=[mask.convert("RGB")]),
        "big.tif": _encoded(rgb, "TIFF", big_tiff=True),
        "turned jpeg.tif": _encoded(rgb, "TIFF", compression="jpeg", exif=_exif()),
        "predicted.tif": _encoded(rgb, "TIFF", compression="tiff_lzw", tiffinfo={317: 2}),
        "associated.tif": _encoded(rgb.convert("RGBA"), "TIFF", tiffinfo={338: 1}),
        "noted.tif": _encoded(rgb, "TIFF", tiffinfo={254: 0, 339: (1, 1, 1)}),
        "tiles.tif": _encoded(rgb, "TIFF", tiffinfo={322: 16, 323: 16}),
    }
    try:
        import pillow_heif
    except ImportError:
        return {**found, **_jpegs(folder)}
    heic = io.BytesIO()
    pillow_heif.from_pillow(rgb).save(heic)
    return {**found, "photo.heic": heic.getvalue(), **_jpegs(folder)}


def _masks(folder: Path) -> Mapping[str, bytes]:
    mask = _pictures()[1]
    found = {f"{form.lower()}": _encoded(mask, form) for form in ("PNG", "BMP", "TIFF", "GIF", "JPEG")}
    found |= {f"{mode}.png": _encoded(mask.convert(mode), "PNG") for mode in ("1", "P", "LA", "RGB", "RGBA")}
    deep = np.asarray(mask).astype(np.uint16) * 257
    found |= {"deep.png": _encoded(Image.fromarray(deep), "PNG"), "deep colour.png": _deep_png(deep)}
    return found | {"clear.png": _encoded(mask.convert("P"), "PNG", transparency=7)}


def _deep_png(grey: np.ndarray) -> bytes:
    """RGB of 16 bits, which Pillow does not write."""
    rows = np.repeat(grey[:, :, None], 3, axis=2).astype(">u2")
    content = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(content)), (b"IEND", b""))
    whole = (struct.pack(">I", len(each)) + name + each + zlib.crc32(name + each).to_bytes(4) for name, each in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)


def _tagged(folder: Path) -> Mapping[str, bytes]:
    rgb = _pictures()[0]
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><xmp:CreatorTool>Editor 1</xmp:CreatorTool></x:xmpmeta>'
    thumbnail = _encoded(rgb.resize((32, 20)), "JPEG")
    raw = _exif().tobytes()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    barred = Image.new("RGB", (32, 24))
    barred.paste(rgb.resize((32, 19)), (0, 2))
    thumbnails = {"bars": barred, "large": rgb.resize((1040, 20)), "small": rgb.resize((12, 8))}
    found = {
        f"{name}.jpg": _encoded(rgb, "JPEG", exif=_with_thumbnail(raw, _encoded(picture, "JPEG")))
        for name, picture in thumbnails.items()
    }
    return found | {
        "profile.jpg": _encoded(rgb, "JPEG", icc_profile=profile, subsampling="4:1:1", restart_marker_blocks=2),
        "grey.jpg": _encoded(rgb.convert("L"), "JPEG"),
        "a.jpg": _encoded(rgb, "JPEG", exif=_exif(), xmp=xmp, comment=b"words"),
        "thumbnail.jpg": _encoded(rgb, "JPEG", exif=_with_thumbnail(raw, thumbnail)),
        "a.png": _encoded(rgb, "PNG", exif=_exif()),
        "a.webp": _encoded(rgb, "WEBP", exif=_exif(), xmp=xmp),
        "a.tif": _encoded(rgb, "TIFF", exif=_exif()),
    }


def _with_thumbnail(exif: bytes, thumbnail: bytes) -> bytes:
    """EXIF of a single directory, with a second one that points at a thumbnail behind both."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order: Literal["little", "big"] = "little" if tiff.startswith(b"II") else "big"
    first = int.from_bytes(tiff[4:8], order)
    link = first + 2 + 12 * int.from_bytes(tiff[first : first + 2], order)
    entries = [(0x0103, 3, 6), (0x0201, 4, len(tiff) + 2 + 3 * 12 + 4), (0x0202, 4, len(thumbnail))]
    second = len(entries).to_bytes(2, order) + b"".join(
        tag.to_bytes(2, order)
        + kind.to_bytes(2, order)
        + (1).to_bytes(4, order)
        + value.to_bytes(kind - kind % 2, order).ljust(4, b"\0")
        for tag, kind, value in entries
    )
    linked = tiff[:link] + len(tiff).to_bytes(4, order) + tiff[link + 4 :]
    return b"Exif\0\0" + linked + second + bytes(4) + thumbnail


def _read_image(path: Path) -> None:
    if path.suffix == ".png":
        read_stored(path, with_alpha=True)  # As for a mask.
    read_image(path)


def _read_mask(path: Path) -> None:
    mask_of(path)


def _read_planes(path: Path) -> None:
    with contextlib.suppress(NoCoefficientsError):  # Rows that read coefficients are undefined then, for this reason.
        read_planes(path.read_bytes())


def _read_facts(path: Path) -> None:
    content = path.read_bytes()
    try:
        image = read_image(content)
    except UserError:
        read_structure(content)
        read_metadata(content)
        read_thumbnail(content, np.zeros((24, 40, 3), np.uint8))
        raise
    read_facts(content, image, path.name)


def _is_image(content: bytes) -> bool:
    return pixels_stated(content) > 0


_IMAGES = ("images.reading", "images.decoding", "images.formats", "images.jpeg_markers", "images.png_chunks")
_FACTS = ("facts", "jpeg_structure", "metadata", "thumbnail")
READERS = {
    "image": Reader(_images, _read_image, _is_image, (*_IMAGES, "images.tiff_pixels", "images.tiff_tags")),
    "mask": Reader(_masks, _read_mask, _is_image, ("images.masks",)),
    "coefficients": Reader(_coefficients, _read_planes, _is_image, ("jpeg",)),
    "metadata": Reader(_tagged, _read_facts, _is_image, tuple(f"examination.file.{name}" for name in _FACTS)),
}
