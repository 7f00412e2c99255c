"""Each rule alone, and that an ordinary photograph has none."""

from typing import Any

import pytest

from splice_jax.examination.file.contradictions import contradictions, kind
from splice_jax.examination.file.facts import Facts, read_facts
from splice_jax.images import encode_png, read_image, resize
from tests.examination.samples import exif, exif_with_thumbnail, jpeg, scene, segment

CAMERA = {0x010F: "ACME", 0x0110: "One", 0x0131: "Firmware 1.2", 0x0132: "2024:05:17 09:30:00"}
TAKEN = {0x9003: "2024:05:17 09:30:00", 0xA002: 160, 0xA003: 120}


def facts(encoded: bytes, name: str = "photo.jpg") -> Facts:
    return read_facts(encoded, read_image(encoded), name)


def kinds(fields: dict[int, Any] | None = None, details: dict[int, Any] | None = None, **options: Any) -> list[str]:
    gps, name = options.pop("gps", None), options.pop("name", "photo.jpg")
    made = exif({**CAMERA, **(fields or {})}, {**TAKEN, **(details or {})}, gps)
    return [found.kind for found in contradictions(facts(jpeg(scene(), exif=made, **options), name))]


def test_an_ordinary_photograph_and_one_without_metadata_have_none() -> None:
    assert kinds() == []
    assert contradictions(facts(jpeg(scene()))) == []


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("editor", {"fields": {0x0131: "Adobe Photoshop 25.1 (Windows)"}}),
        ("editor", {"fields": {0x0131: "GIMP 2.10"}}),
        ("generator", {"fields": {0x0131: "Midjourney"}}),
        ("saved-later", {"fields": {0x0132: "2024:06:01 12:00:00"}}),
        ("changed-before-taken", {"fields": {0x0132: "2024:05:01 12:00:00"}}),
        ("gps-date", {"gps": {1: "N", 2: (1.0, 2.0, 3.0), 29: "2024:05:11"}}),
        ("dimensions", {"details": {0xA002: 4000, 0xA003: 3000}}),
        ("progressive", {"progressive": True}),
        ("suffix", {"name": "photo.png"}),
    ],
)
def test_one_rule_finds_what_it_looks_for_and_no_other_does(kind: str, arguments: dict[str, Any]) -> None:
    assert kinds(**arguments) == [kind]


def test_a_camera_s_own_jpeg_names_the_camera_and_no_other_program() -> None:
    made = exif(CAMERA, TAKEN)
    assert kind(facts(jpeg(scene(), exif=made))) == "camera"
    assert kind(facts(jpeg(scene()))) == "other jpeg"  # Whoever removed its metadata saved it again.
    assert kind(facts(jpeg(scene(), exif=exif({**CAMERA, 0x0131: "GIMP 2.10"}, TAKEN)))) == "other jpeg"
    assert kind(facts(jpeg(scene(), exif=made, progressive=True))) == "other jpeg"
    assert kind(facts(encode_png(scene()), "photo.png")) == "no jpeg"


def test_small_differences_are_none() -> None:
    assert kinds({0x0132: "2024:05:17 09:30:30"}) == []
    assert kinds(gps={1: "N", 2: (1.0, 2.0, 3.0), 29: "2024:05:16"}) == []
    assert kinds(details={0xA002: 120, 0xA003: 160}) == []  # turned
    assert kinds(name="photo.JPEG") == [] and kinds(name="photo") == []


def test_segments_of_an_editor_count_if_no_metadata_name_one() -> None:
    encoded = jpeg(scene())
    marked = encoded[:2] + segment(0xED, b"Photoshop 3.0\x008BIM") + encoded[2:]
    assert [found.kind for found in contradictions(facts(marked))] == ["editor-segments"]


def test_a_thumbnail_that_shows_something_else_is_found() -> None:
    photo = scene(480, 640)
    same, other = (jpeg(resize(scene(480, 640, seed), (120, 160))) for seed in (0, 1))
    assert contradictions(facts(jpeg(photo, exif=exif_with_thumbnail(same)))) == []
    found = contradictions(facts(jpeg(photo, exif=exif_with_thumbnail(other))))
    assert [each.kind for each in found] == ["thumbnail"]


def test_unknown_bytes_after_the_image_are_found_and_known_ones_are_not() -> None:
    encoded = jpeg(scene())
    assert [found.kind for found in contradictions(facts(encoded + b"secret"))] == ["trailing-bytes"]
    assert contradictions(facts(encoded + encoded)) == []  # as a phone's second picture


def test_every_finding_says_what_it_shows_and_what_not() -> None:
    made = exif({**CAMERA, 0x0131: "GIMP 2.10", 0x0132: "2024:06:01 12:00:00"}, {**TAKEN, 0xA002: 1})
    for found in contradictions(facts(jpeg(scene(), exif=made, progressive=True))):
        assert all(text.endswith(".") and text[0].isupper() for text in found[1:])
