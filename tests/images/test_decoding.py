"""What is said of damaged files: a cause in plain words and a way out, and nothing that a decoder prints itself."""

import re
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from splice_jax.errors import UserError
from splice_jax.images import pixels_stated, read_image
from tests.images.making import encoded, png

RGB = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
KINDS: dict[str, dict[str, Any]] = {
    "JPEG": {}, "PNG": {}, "BMP": {}, "GIF": {}, "WEBP": {}, "AVIF": {"speed": 10}, "TIFF": {},
    "LZW": {"compression": "tiff_lzw"}, "deflate": {"compression": "tiff_adobe_deflate"},
    "JPEG in TIFF": {"compression": "jpeg"},
}  # fmt: skip
PLAIN = re.compile(
    r"x: (?:broken or truncated \((?:the (?:JPEG|PNG|BMP|GIF|WebP|AVIF|TIFF)'s (?:data end before the picture does"
    r"|data are damaged, they make no picture|(?:directory|palette) is missing|(?:IHDR|IDAT|PLTE) is damaged)"
    r"|no valid \w+ header"
    r"|strips or tiles (?:are missing|without pixels)|a strip or tile is cut)\); get a whole copy of it"
    r"|a kind of \w+ that is not read, or a damaged one; save it as PNG or 8-bit TIFF"
    r"|not an image(?: but .+| that is known here, by its first bytes|: nothing but zeros, .+)?; (?:give|get) .+"
    r"|-?\d+ x -?\d+ pixels, over 100 megapixels; .+|-?\d+ x -?\d+: an image without pixels; get a whole copy of it"
    r"|.+ pixels have no agreed white; save it .+|an? .*(?:JPEG|TIFF) .*; (?:save it|leave it out).*"
    r"|an empty file; get a whole copy of it)"
)
"""Everything that may be said of a damaged file."""


@pytest.mark.parametrize("kind", KINDS)
def test_causes_are_in_plain_words_and_decoders_are_silent(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    whole = encoded(Image.fromarray(RGB), kind if kind in Image.SAVE else "TIFF", **KINDS[kind])
    reasons = set[str]()
    for place in range(0, len(whole), len(whole) // 40):
        piece = rng.integers(0, 256, 20, np.uint8).tobytes()
        for damaged in (whole[:place], whole[:place] + piece + whole[place + 20 :]):
            try:
                read_image(damaged, name="x")
            except UserError as error:
                reasons.add(str(error))
    assert len(reasons) > 1
    assert not [reason for reason in reasons if not PLAIN.fullmatch(reason)]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["BMP", "WEBP", "AVIF", "GIF"])
def test_a_file_that_is_shorter_than_it_says_ends_early(kind: str) -> None:
    whole = encoded(Image.fromarray(RGB), kind)
    with pytest.raises(UserError, match=r"data end before the picture does\); get a whole copy of it"):
        read_image(whole[: len(whole) * 3 // 4])


def test_a_tiff_that_does_not_say_what_0_is_is_refused() -> None:
    file = encoded(Image.fromarray(RGB[:, :, 0]), "TIFF")
    unsaid = file.replace((262).to_bytes(2, "little") + b"\3\0", (261).to_bytes(2, "little") + b"\3\0", 1)
    with pytest.raises(UserError, match="x: a TIFF that does not say whether 0 is black or white"):
        read_image(unsaid, name="x")


def test_pillows_own_limit_is_back_afterwards() -> None:
    limit = Image.MAX_IMAGE_PIXELS
    assert pixels_stated(encoded(Image.fromarray(RGB))) == 24 * 40
    assert pixels_stated(b"no image") == 0
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(("depth", "colour"), [(1, 0), (8, 0), (8, 2), (8, 3), (16, 2), (8, 6)])
def test_a_png_with_fewer_pixels_than_it_says_is_refused_though_pillow_fills_up(depth: int, colour: int) -> None:
    row = b"\0" + bytes(-(-5 * depth * {2: 3, 6: 4}.get(colour, 1) // 8))
    file, short = (png(5, 4, depth, colour, row * rows) for rows in (4, 3))
    if colour == 3:
        palette = b"\0\0\0\3PLTE\1\2\3" + zlib.crc32(b"PLTE\1\2\3").to_bytes(4)
        file, short = (each[:33] + palette + each[33:] for each in (file, short))
    assert read_image(file).shape == (4, 5, 3)
    with pytest.raises(UserError, match="x: broken or truncated .the PNG's data end before the picture does"):
        read_image(short, name="x")


def test_an_interlaced_png_is_as_long_as_its_passes() -> None:
    """Of 1 x 1 and 3 x 5 pixels, most passes are empty; the rows are those of the standard."""
    for (width, height), rows in {(1, 1): [1], (3, 5): [1, 1, 1, 1, 2, 1, 1, 1, 3, 3]}.items():
        data = b"".join(b"\0" + bytes(3 * pixels) for pixels in rows)
        for content, whole in ((data, True), (data[:-1], False)):
            file = png(width, height, 8, 2, content)
            interlaced = file[:28] + b"\1" + zlib.crc32(file[12:28] + b"\1").to_bytes(4) + file[33:]
            if whole:
                assert read_image(interlaced).shape == (height, width, 3)
            else:
                with pytest.raises(UserError, match="data end before"):
                    read_image(interlaced)
