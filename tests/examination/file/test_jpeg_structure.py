"""The marker parser, against bytes made by hand and against Pillow's own reading."""

import io
import struct
import time

import numpy as np
import pytest
from PIL import Image

from splice_jax.examination.file.jpeg_structure import MOST_SEGMENTS, read_structure, subsampling
from splice_jax.jpeg import ZIGZAG
from tests.examination.samples import frame, jpeg, scan, scene, segment

STEPS = bytes(range(1, 65))
WIDE = struct.pack(">64H", *range(300, 364))
START, END = b"\xff\xd8", b"\xff\xd9"


def test_a_file_made_by_hand_is_read_to_the_last_byte() -> None:
    encoded = START + segment(0xE0, b"JFIF\0\1\2") + segment(0xE1, b"Exif\0\0...") + segment(0xFE, b"made\0 by hand")
    encoded += segment(0xDB, b"\x00" + STEPS + b"\x11" + WIDE) + frame(0xC2) + segment(0xDD, struct.pack(">H", 7))
    encoded += scan(b"ab\xff\x00\xff\xd0cd\xff\xd1") + b"\xff" + scan(b"\xff\x00") + END + b"tail"
    found = read_structure(encoded)
    assert found is not None and found.problem == ""
    assert (found.process, found.precision, found.width, found.height) == ("progressive", 8, 24, 16)
    assert (found.components, found.subsampling, found.scans) == (3, "4:2:0", 2)
    assert (found.restart_interval, found.restart_markers) == (7, 2)
    assert (found.trailing_bytes, found.trailing) == (4, "unknown")
    assert found.identifiers() == ["JFIF", "Exif"]
    assert found.comments == ["made? by hand"]
    assert [each.marker for each in found.segments[:4]] == ["APP0", "APP1", "COM", "DQT"]
    for number, steps in ((0, range(1, 65)), (1, range(300, 364))):
        assert [found.tables[number][row][column] for row, column in ZIGZAG] == list(steps)


@pytest.mark.parametrize(
    ("options", "process", "sampling"),
    [
        ({"quality": 70, "subsampling": 0}, "baseline", "4:4:4"),
        ({"quality": 88, "subsampling": 1}, "baseline", "4:2:2"),
        ({"quality": 95, "subsampling": 2, "progressive": True}, "progressive", "4:2:0"),
    ],
)
def test_pillows_files_are_read_as_pillow_reads_them(options, process, sampling) -> None:
    encoded = jpeg(scene(), **options)
    found = read_structure(encoded)
    assert found is not None and (found.problem, found.trailing_bytes) == ("", 0)
    assert (found.process, found.subsampling) == (process, sampling)
    assert (found.scans > 1) == (process == "progressive")
    with Image.open(io.BytesIO(encoded)) as image:
        assert (found.width, found.height) == image.size
        tables = image.quantization  # type: ignore[attr-defined]
    assert {number: np.ravel(table).tolist() for number, table in found.tables.items()} == tables


def test_restart_markers_are_counted() -> None:
    found = read_structure(jpeg(scene(64, 64), subsampling=0, restart_marker_blocks=8))
    assert found is not None
    assert (found.restart_interval, found.restart_markers) == (8, 7)  # 64 blocks, none after the last


@pytest.mark.parametrize(
    ("tail", "what"),
    [
        (b"", ""),
        (b"\0" * 40, "padding"),
        (b"\xff\xd8\xff\xe1", "another JPEG"),
        (b"\0\0\0\x18ftypmp42", "a video"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"hidden", "unknown"),
    ],
)
def test_what_follows_the_image_is_named(tail: bytes, what: str) -> None:
    found = read_structure(jpeg(scene(16, 16)) + tail)
    assert found is not None
    assert found.trailing_bytes == len(tail) and found.trailing.startswith(what) and bool(what) == bool(tail)


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        (b"", "the file ends at byte 2"),
        (b"\xff\xff\xff", "the file ends in the middle of a marker"),
        (b"JPEG", "no marker at byte 2"),
        (b"\xff\xe0\x00\x01", "has 1 bytes, which cannot be"),
        (b"\xff\xe0\xff\xff.", "has 65535 bytes, which cannot be"),
        (segment(0xDB, b"\x00" + STEPS[:-1]), "a quantization table is cut short"),
        (segment(0xC0, b"\x08\0\1\0\1\x03"), "the frame header is cut short"),
        (frame() + scan(b"abc"), "the file ends at byte"),
        (segment(0xFE, b"") * (MOST_SEGMENTS + 5), f"more than {MOST_SEGMENTS} segments"),
    ],
)
def test_broken_files_say_where(rest: bytes, problem: str) -> None:
    found = read_structure(START + rest)
    assert found is not None and problem in found.problem


def test_other_files_have_no_such_structure() -> None:
    assert read_structure(b"") is None and read_structure(b"\x89PNG") is None


@pytest.mark.parametrize("filling", [b"\xff", b"\xff\x00", b"\xff\xd0", b"\xff\xda\x00\x02", b"\xff\xfe\x00\x02"])
def test_a_hostile_file_costs_no_more_than_an_honest_one(filling: bytes) -> None:
    encoded = START + scan(filling * (8_000_000 // len(filling)))
    started = time.process_time()
    assert read_structure(encoded) is not None
    assert time.process_time() - started < 2


def test_any_bytes_are_read_without_an_error() -> None:
    random, honest = np.random.default_rng(0), bytearray(jpeg(scene(40, 40)))
    for _ in range(300):
        broken = honest.copy()
        for place in random.integers(2, len(broken), 12):
            broken[place] = (0, 255, int(random.integers(256)))[random.integers(3)]
        assert read_structure(bytes(broken[: random.integers(2, len(broken))])) is not None


def test_unusual_sampling_is_written_out() -> None:
    assert subsampling([(1, 1)]) == "grey"
    assert subsampling([(1, 1), (1, 1), (1, 1)]) == "4:4:4"
    assert subsampling([(4, 1), (1, 1), (1, 1)]) == "4:1:1"
    assert subsampling([(4, 2), (1, 1), (1, 1)]) == "4x2"
    assert subsampling([(2, 2), (1, 1), (2, 1)]) == "2x2, 1x1, 2x1"
    assert subsampling([(1, 1), (0, 0), (0, 0)]) == "1x1, 0x0, 0x0" and subsampling([]) == ""
