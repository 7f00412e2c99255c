"""What metadata say, and that broken or hostile ones do no harm."""

import datetime
import io

import numpy as np
from PIL import Image, PngImagePlugin

from splice_jax.examination.file.metadata import MOST_CHARACTERS, moment, read_metadata
from tests.examination.samples import exif, jpeg, scene

HOSTILE = "</script><img src=x onerror=alert(1)>"
GPS = {1: "N", 2: (48.0, 51.0, 29.0), 3: "E", 4: (2.0, 17.0, 40.0), 29: "2024:05:17"}


def test_exif_is_read_with_the_place_only_said_to_be_known() -> None:
    fields = {0x010F: "ACME", 0x0110: "ACME One", 0x0131: HOSTILE, 0x0132: "2024:05:18 10:00:00"}
    encoded = jpeg(scene(), exif=exif(fields, {0x9003: "2024:05:17 09:30:00", 0xA002: 160, 0x829A: 0.01}, GPS))
    found = read_metadata(encoded)
    assert (found.camera, found.software) == ("ACME One", [HOSTILE])
    assert found.exif["DateTimeOriginal"] == "2024:05:17 09:30:00" and found.exif["ExifImageWidth"] == "160"
    assert (found.gps, found.gps_date, found.problem) == (True, "2024:05:17", "")
    assert not any("48" in value or "51" in value for value in found.exif.values())


def test_a_file_without_metadata_says_nothing() -> None:
    found = read_metadata(jpeg(scene()))
    assert (found.exif, found.gps, found.software, found.camera, found.problem) == ({}, False, [], "", "")


def test_long_and_unprintable_values_are_cut_and_cleaned() -> None:
    found = read_metadata(jpeg(scene(), exif=exif({0x0131: "a\x07b" + "x" * 5000, 0x010E: "one\ntwo"})))
    assert found.exif["Software"].startswith("a?bxxx") and len(found.exif["Software"]) <= MOST_CHARACTERS + 3
    assert found.exif["ImageDescription"] == "one two"


def test_programs_in_xmp_and_the_text_of_a_png_are_named() -> None:
    packet = b'<x:xmpmeta><a xmp:CreatorTool="Tool 1"/><stEvt:softwareAgent>Tool 2</stEvt:softwareAgent>'
    found = read_metadata(jpeg(scene()) + packet + b"trainedAlgorithmicMedia</x:xmpmeta>")
    assert found.tools == ["Tool 1", "Tool 2"] and found.generated
    text, encoded = PngImagePlugin.PngInfo(), io.BytesIO()
    text.add_text("Software", "Painter")
    text.add_text("parameters", "a cat, steps: 20")
    Image.fromarray(scene(20, 20)).save(encoded, "PNG", pnginfo=text)
    assert read_metadata(encoded.getvalue()).text == {"Software": "Painter", "parameters": "a cat, steps: 20"}


def test_broken_metadata_are_no_error() -> None:
    honest = jpeg(scene(40, 40), exif=exif({0x010F: "ACME"}, {0x9003: "2024:05:17 09:30:00"}, GPS))
    random = np.random.default_rng(1)
    for _ in range(200):
        broken = bytearray(honest)
        for place in random.integers(20, 260, 6):
            broken[place] = random.integers(256)
        read_metadata(bytes(broken))
    assert read_metadata(b"no image at all").problem


def test_moments_are_those_of_exif() -> None:
    assert moment("2024:05:17 09:30:00") == datetime.datetime(2024, 5, 17, 9, 30)
    for text in ("", "0000:00:00 00:00:00", "yesterday", "2024-05-17"):
        assert moment(text) is None
