"""What a file is, by its content; and formats that other libraries decode too."""

import io
import itertools
import re
import sys
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splice_jax.errors import UserError
from splice_jax.images import images_in, read_image, told
from splice_jax.images.formats import NO_IMAGES, REFUSED, kind_of
from tests.images.making import encoded

RGB = np.random.default_rng(0).integers(0, 256, (40, 52, 3), np.uint8)


INCOMPARABLE = {("BMP", "RGBA"), ("BMP", "1"), ("BMP", "P"), ("PNG", "P"), ("GIF", "1"), ("GIF", "RGBA")}
"""Of these, imagecodecs gives bits, indices or a composition."""
COMPARABLE = itertools.product(["GIF", "PNG", "WEBP", "BMP", "AVIF"], ["RGB", "L", "P", "1", "RGBA"])


@pytest.mark.parametrize(("kind", "mode"), sorted(set(COMPARABLE) - INCOMPARABLE))
def test_pixels_are_another_decoders(kind: str, mode: str) -> None:
    """imagecodecs wraps giflib, libpng, libwebp, libavif and its own BMP reader."""
    codecs = pytest.importorskip("imagecodecs")
    file = encoded(Image.fromarray(RGB).convert(mode), kind)
    decode = {"GIF": codecs.gif_decode, "PNG": codecs.png_decode, "WEBP": codecs.webp_decode}
    decode |= {"BMP": codecs.bmp_decode, "AVIF": codecs.avif_decode}
    decoded = np.asarray(decode[kind](file)).reshape(-1, 40, 52, decode[kind](file).size // (40 * 52))[0]
    if decoded.dtype == bool:
        decoded = decoded * np.uint8(255)
    wanted = decoded[..., :3] if decoded.shape[-1] >= 3 else decoded[..., [0, 0, 0]]
    np.testing.assert_allclose(read_image(file).astype(int), wanted.astype(int), atol=3 if kind == "AVIF" else 0)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "GIF", "AVIF"])
def test_the_first_picture_of_many_counts(kind: str) -> None:
    first = np.repeat(RGB[:, :, :1], 3, axis=2)
    others = [Image.fromarray(first[::-1])]
    file = encoded(Image.fromarray(first[:, :, 0]), kind, save_all=True, append_images=others)
    np.testing.assert_allclose(read_image(file).astype(int), first, atol=30 if kind == "AVIF" else 0)


def test_heic_is_read_by_pillow_heif(monkeypatch) -> None:
    heif = pytest.importorskip("pillow_heif")
    smooth = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    file = io.BytesIO()
    heif.from_pillow(Image.fromarray(smooth)).save(file, quality=-1, chroma=444)
    decoded = np.asarray(heif.read_heif(file.getvalue()))
    np.testing.assert_array_equal(read_image(file.getvalue()), decoded[..., :3])
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UserError, match=r'x.heic: a HEIC file, which needs pillow-heif; .*"splice_jax\[heif\]"'):
        read_image(file.getvalue(), name="x.heic")


REASONS = {
    "JPEG XL": (b"\xff\x0a" + bytes(30), "a JPEG XL file, which is not read; save it as PNG"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 file"),
    "Photoshop": (b"8BPS\0\x01", "a Photoshop file"),
    "CR2": (b"II*\0\x10\0\0\0CR\x02\0", "a raw photograph, which is not read; develop it"),
    "CR3": (b"\0\0\0\x18ftypcrx \0\0\0\1", "a raw photograph"),
    "RAF": (b"FUJIFILMCCD-RAW 0201", "a raw photograph"),
    "ORF": (b"IIRO\x08\0\0\0", "a raw photograph"),
    "EXR": (b"\x76\x2f\x31\x01", "floating-point pixels"),
    "PDF": (b"%PDF-1.4", "not an image but a PDF document"),
    "SVG": (b'<?xml version="1.0"?>\n<svg width="1">', "not an image but an SVG drawing"),
    "web page": (b"\n<!DOCTYPE html><html>", "not an image but a web page; fetch the image itself"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS; fetch the file itself"),
    "archive": (b"PK\x03\x04", "an archive; unpack it"),
    "byte order mark": (b"\xef\xbb\xbf<html>", "not an image but a web page"),
    "SVG by its type": (b'<?xml version="1.0"?>\n<!-- by hand -->\n<!DOCTYPE svg PUBLIC "x">', "an SVG drawing"),
    "many comments": (b"<!---->" * 140 + b"<none>", "not an image but a text"),
    "XML": (b'<?xml version="1.0"?>\n<Error/>', "an XML text, often a server's error; fetch the image itself"),
    "PostScript": (b"%!PS-Adobe-3.0", "a PostScript drawing; export"),
    "tar": (b"a.jpg".ljust(257, b"\0") + b"ustar", "an archive; unpack it"),
    "icon": (b"\0\0\1\0\2\0\x10\x10", "an icon, which is not read"),
    "Targa": (b"\0\0\2" + bytes(9) + b"\x08\0\x08\0\x18\0", "not an image that is known here"),
    "DICOM": (bytes(128) + b"DICM", "a DICOM file"),
    "FITS": (b"SIMPLE  =    T", "a FITS file"),
    "GIMP": (b"gimp xcf v011", "a GIMP file"),
    "texture": (b"qoif" + bytes(9), "a texture"),
    "PNG sent as a text": (
        b"\x89PNG\n\x1a\n\0\0\0\x0dIHDR",
        "line ends were changed, .*; copy it again, not as a text",
    ),
    "Apple's PNG": (b"\x89PNG\r\n\x1a\n\0\0\0\4CgBI", "a PNG in Apple's own form .CgBI., which is not read"),
    "JPEG-LS": (b"\xff\xd8\xff\xf7\0\x0b\x08" + bytes(8) + b"\xff\xda", "a JPEG-LS file, which is not read"),
    "2 bytes of a JPEG": (b"\xff\xd8", "not an image that is known here"),
    "video": (b"\0\0\0\x18ftypmp42", "a video; export the frame"),
    "text": ("Größe,Wert\n".encode(), "not an image but a text"),
    "zeros": (bytes(500), "nothing but zeros"),
    "nothing": (b"", "an empty file"),
    "noise": (b"\x01\x02\x03\x04\x99", "not an image that is known here, by its first bytes; give a JPEG"),
    "cut PNG": (b"\x89PNG\r\n\x1a\n\0\0", "broken or truncated"),
    "cut JPEG": (b"\xff\xd8\xff\xe0\0", "broken or truncated .the JPEG's data end"),
    "cut TIFF": (b"II*\0", "broken or truncated .the TIFF's directory is missing"),
    "cut WebP": (b"RIFF\0\0\0\0WEBPVP8 ", "broken or truncated"),
    "cut GIF": (b"GIF89a\0", "broken or truncated"),
    "cut AVIF": (b"\0\0\0\x18ftypavif", "broken or truncated"),
    "cut BMP": (b"BM" + bytes(12) + b"\x28\0\0\0", "broken or truncated"),
}


@pytest.mark.parametrize("kind", REASONS)
def test_the_reason_is_the_true_one(kind: str) -> None:
    file, reason = REASONS[kind]
    with pytest.raises(UserError, match=f"^x: .*{reason}"):
        read_image(file, name="x")


def test_the_documentation_names_everything_that_is_refused() -> None:
    page = " ".join((Path(__file__).parents[2] / "docs/input.md").read_text(encoding="utf-8").split())
    titles = [title for _, title, _ in REFUSED] + [what.partition(";")[0] for _, what in NO_IMAGES]
    words = [re.sub(r"^an? | file\b.*|,.*", "", title) for title in titles]
    assert len(words) > 12
    assert not [word for word in words if word not in page]


def test_impossible_headers_are_named() -> None:
    bmp, jpeg, png = (bytearray(encoded(Image.fromarray(RGB), form)) for form in ("BMP", "JPEG", "PNG"))
    bmp[18:22] = (-16).to_bytes(4, "little", signed=True)
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 7] = b"\0\0"
    png[28] = 7
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4)
    reasons = {bytes(bmp): "no picture has 4294967280 x", bytes(jpeg): "its height behind", bytes(png): "interlacing"}
    for file, reason in reasons.items():
        with pytest.raises(UserError, match=f"^x: .*{reason}"):
            read_image(file, name="x")


@pytest.mark.parametrize("chunk", [b"IHDR", b"IDAT", b"PLTE"])
def test_a_damaged_png_is_refused_though_pillow_reads_it(chunk: bytes) -> None:
    file = bytearray(encoded(Image.fromarray(RGB).quantize(), compress_level=0))
    at = file.index(chunk)
    file[at + (20 if chunk == b"IDAT" else 7 if chunk == b"IHDR" else 9)] ^= 1
    with pytest.raises(UserError, match=f"x: broken or truncated .the PNG's {chunk.decode()} is damaged"):
        read_image(bytes(file), name="x")


def test_a_png_without_its_palette_is_refused_though_pillow_reads_it() -> None:
    file = encoded(Image.fromarray(RGB).quantize())
    start, end = file.index(b"PLTE") - 4, file.index(b"IDAT") - 4
    with pytest.raises(UserError, match="x: broken or truncated .the PNG's palette is missing"):
        read_image(file[:start] + file[end:], name="x")


def test_damage_beside_the_pixels_of_a_png_does_not_matter() -> None:
    file = encoded(Image.fromarray(RGB), dpi=(72, 72))
    at = file.index(b"pHYs") + 5
    np.testing.assert_array_equal(read_image(file[:at] + b"\x7f" + file[at + 1 :]), RGB)
    np.testing.assert_array_equal(read_image(file[:-12]), RGB)  # Without its end.


def test_brands_tell_avif_from_heic() -> None:
    brand = b"\0\0\0\x1cftypmif1\0\0\0\0mif1"
    assert kind_of(brand + b"avifmiaf").format == "AVIF"
    assert kind_of(brand + b"heicmiaf").format == "HEIF"


def test_a_folders_images_are_told_by_content_and_by_suffix(tmp_path: Path) -> None:
    image = encoded(Image.fromarray(RGB), "JPEG")
    for name in ("a.jpg", "b.jfif", "c", "d.dat", "._a.jpg", ".hidden.png", "e.nef"):
        (tmp_path / name).write_bytes(image if name != "e.nef" else b"II*\0\x10\0\0\0CR\x02\0")
    (tmp_path / "broken.png").write_bytes(b"text")
    for name in ("list.csv", "more.csv", "LICENSE"):
        (tmp_path / name).write_text("text")
    (tmp_path / "folder.jpg").mkdir()
    found = images_in(tmp_path)
    assert [path.name for path in found.images] == ["a.jpg", "b.jfif", "broken.png", "c", "d.dat", "e.nef"]
    assert found.others == Counter({".csv": 2, "no suffix": 1})
    assert told(found.others) == "3 files that are no images were passed over (.csv 2, no suffix 1)"
    assert told(Counter()) == ""
