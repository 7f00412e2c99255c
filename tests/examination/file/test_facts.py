"""The facts of whole files."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from splice_jax.examination.file.facts import Facts, read_facts, suffix_format
from splice_jax.images import encode_png, read_image
from tests.examination.samples import exif, jpeg, scene


def facts(encoded: bytes, name: str = "photo.jpg") -> Facts:
    return read_facts(encoded, read_image(encoded), name)


def test_a_jpegs_facts_are_those_of_its_bytes() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    encoded = jpeg(scene(), quality=83, icc_profile=profile, exif=exif({0x0112: 6, 0x010F: "ACME"}))
    found = facts(encoded)
    assert (found.format, found.mode, found.width, found.height, found.orientation) == ("JPEG", "RGB", 160, 120, 6)
    assert (found.size, found.sha256) == (len(encoded), hashlib.sha256(encoded).hexdigest())
    assert found.profile == "sRGB built-in" and found.metadata.camera == "ACME"
    assert found.qualities == {"luma": (83, True), "chroma": (83, True)}
    assert found.jpeg is not None and found.thumbnail is None


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "WEBP"])
def test_other_formats_have_no_jpeg_structure(kind: str) -> None:
    encoded = io.BytesIO()
    Image.fromarray(scene(40, 50)).save(encoded, kind)
    found = facts(encoded.getvalue(), f"photo.{kind.lower()}")
    assert (found.format, found.width, found.height, found.jpeg, found.qualities) == (kind, 50, 40, None, {})


def test_pixels_of_a_jpeg_tell_of_it() -> None:
    """As a PNG: whole, cropped, and brighter, which hides it; a JPEG's own file is told of elsewhere."""
    assert facts(jpeg(scene(200, 300))).earlier_jpeg is None
    for quality in (70, 83, 95):
        image = read_image(jpeg(scene(200, 300), quality=quality))
        told = facts(encode_png(image)).earlier_jpeg
        assert told is not None and told.origin == (0, 0) and abs(told.quality - quality) <= 1
    cropped = facts(encode_png(image[6:, 3:])).earlier_jpeg
    assert cropped is not None and cropped.origin == (2, 5)
    assert str(cropped).endswith("turned or framed since (its blocks begin at row 2, column 5)")
    for other in (image // 2 + 50, scene(200, 300), image[:5, :5]):
        assert facts(encode_png(other)).earlier_jpeg is None


def test_a_phones_file_of_two_pictures_is_a_jpeg() -> None:
    encoded, second = io.BytesIO(), Image.fromarray(scene(20, 20))
    Image.fromarray(scene(60, 80)).save(encoded, "MPO", save_all=True, append_images=[second])
    found = facts(encoded.getvalue())
    assert found.format == "JPEG" and found.jpeg is not None
    assert found.jpeg.trailing.startswith("another JPEG")


def test_a_name_of_any_bytes_can_be_shown() -> None:
    assert facts(jpeg(scene(20, 20)), "a\udcffb\n.jpg").name == "a\\udcffb?.jpg"
    assert suffix_format("photo") == suffix_format("photo.unknown") == ""


def test_a_broken_profile_is_said_to_be_unreadable() -> None:
    assert facts(jpeg(scene(20, 20), icc_profile=b"nonsense" * 30)).profile == "unreadable"


def test_a_tiff_that_only_we_read_has_facts() -> None:
    """Pillow takes a BigTIFF with the high byte first for no TIFF."""
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    pytest.importorskip("tifffile").imwrite(file, pixels, bigtiff=True, byteorder=">", photometric="rgb")
    found = facts(file.getvalue(), "a.tif")
    assert (found.format, found.mode, found.width, found.height) == ("TIFF", "unknown", 12, 9)
