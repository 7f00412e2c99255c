"""What is said of damaged files: a cause in plain words and a way out, and nothing that a decoder prints itself."""

import re

import numpy as np
import pytest
from PIL import Image

from splice_jax.errors import UserError
from splice_jax.images import pixels_stated, read_image
from tests.images.making import encoded

RGB = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
KINDS = {
    "JPEG": {}, "PNG": {}, "BMP": {}, "GIF": {}, "WEBP": {}, "AVIF": {"speed": 10}, "TIFF": {},
    "LZW": {"compression": "tiff_lzw"}, "deflate": {"compression": "tiff_adobe_deflate"},
    "JPEG in TIFF": {"compression": "jpeg"},
}  # fmt: skip
PLAIN = re.compile(
    r"x: (?:broken or truncated \((?:the (?:JPEG|PNG|BMP|GIF|WebP|AVIF|TIFF)'s (?:data end before the picture does"
    r"|data are damaged, they make no picture|directory is missing|(?:IHDR|IDAT|PLTE) is damaged)|no whole \w+ header"
    r"|strips or tiles (?:are missing|without pixels)|a strip or tile is cut)\); get a whole copy of it"
    r"|a kind of \w+ that is not read, or a damaged one; save it as PNG or 8-bit TIFF"
    r"|not an image(?: but .+|, by its first bytes|: nothing but zeros, .+)?; (?:give|get) .+"
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
