"""What in a file disagrees with the rest of it, or tells of an editor: pure rules over facts.

None of them proves a splice, and none of them missing proves that there is none: each says what it shows and what not.
"""

import datetime
from collections.abc import Callable, Iterator
from typing import NamedTuple

from splice_jax.errors import listed
from splice_jax.examination.file.facts import Facts, suffix_format
from splice_jax.examination.file.metadata import moment

EDITORS = (
    *("photoshop", "lightroom", "gimp", "affinity", "pixelmator", "snapseed", "facetune", "picsart", "luminar"),
    *(
        "capture one",
        "darktable",
        "rawtherapee",
        "paint.net",
        "paintshop",
        "corel",
        "krita",
        "canva",
        "meitu",
        "polarr",
    ),
    *("imagemagick", "irfanview", "acdsee", "faceapp", "photodirector", "photopea", "pixlr", "picasa", "dxo"),
)
"""Programs that change pictures, in lower case."""

GENERATORS = (
    *("midjourney", "dall-e", "dall·e", "stable diffusion", "firefly", "comfyui", "automatic1111", "imagen", "novelai"),
    *("ideogram", "leonardo.ai", "gpt-4o", "flux.1"),
)
"""Programs that make pictures up, in lower case."""

_SAVED_LATER = datetime.timedelta(minutes=1)
_ANOTHER_DAY = datetime.timedelta(days=2)  # Time zones and a late fix explain less.
_EDITOR_SEGMENTS = ("Photoshop 3.0", "Ducky")


class Contradiction(NamedTuple):
    """One finding; all are sentences for a reader who knows nothing of files."""

    kind: str
    """A name for programs, such as `editor`."""
    finding: str
    shows: str
    does_not_show: str


Rule = Callable[[Facts], Iterator[Contradiction]]
_RULES: list[Rule] = []


def _rule(rule: Rule) -> Rule:
    _RULES.append(rule)
    return rule


def kind(facts: Facts) -> str:
    """The kind of the file, as in `weights.calibration.KINDS`.

    A JPEG is as its camera wrote it if it names the camera and nothing in it tells of another program.
    """
    if facts.jpeg is None:
        return "no jpeg"
    return "camera" if facts.metadata.camera and not contradictions(facts) else "other jpeg"


def contradictions(facts: Facts) -> list[Contradiction]:
    """All that the rules find, in their order."""
    return [found for rule in _RULES for found in rule(facts)]


@_rule
def _generator(facts: Facts) -> Iterator[Contradiction]:
    named = _named(facts, GENERATORS)
    if named or facts.metadata.generated or "parameters" in facts.metadata.text:
        what = f"names {listed(named)}" if named else "declares that a trained generator made the picture"
        yield Contradiction(
            "generator",
            f"The metadata {what}.",
            "The file, or a part of the picture, is declared to come from a program that makes pictures up.",
            "Which part; metadata are easily added, copied and removed.",
        )


@_rule
def _editor(facts: Facts) -> Iterator[Contradiction]:
    named = _named(facts, EDITORS)
    if named:
        yield Contradiction(
            "editor",
            f"The metadata name a program that edits pictures: {listed(named)}.",
            "The file was saved by this program after the camera.",
            "That anything was changed but size, brightness or format: such programs are used every day.",
        )


@_rule
def _editor_segments(facts: Facts) -> Iterator[Contradiction]:
    segments = facts.jpeg.identifiers() if facts.jpeg else []
    found = [name for name in _EDITOR_SEGMENTS if name in segments]
    if found and not _named(facts, EDITORS):
        yield Contradiction(
            "editor-segments",
            f"The file has segments that Adobe's programs write ({listed(found)}), but no metadata name one.",
            "It probably went through such a program, or through an agency that adds captions in this form.",
            "That its pixels were changed.",
        )


@_rule
def _thumbnail(facts: Facts) -> Iterator[Contradiction]:
    small = facts.thumbnail
    if small is None or not small.differs:
        return
    what = "shows another picture than" if small.same_shape else "has another shape than"
    yield Contradiction(
        "thumbnail",
        f"The embedded thumbnail {what} the photograph.",
        "The photograph was cropped, turned or changed after the thumbnail was made; the thumbnail may show it before.",
        "Who did it and why: many programs crop or turn a photograph without renewing its thumbnail.",
    )


@_rule
def _saved_later(facts: Facts) -> Iterator[Contradiction]:
    taken, saved = (moment(facts.metadata.exif.get(name, "")) for name in ("DateTimeOriginal", "DateTime"))
    if taken and saved and saved - taken > _SAVED_LATER:
        yield Contradiction(
            "saved-later",
            f"Taken {taken:%Y-%m-%d %H:%M:%S}, but last changed {saved:%Y-%m-%d %H:%M:%S} by the file's own dates.",
            "Something wrote the file again after it was taken.",
            "What was changed; a rotation or a caption is enough.",
        )
    if taken and saved and taken > saved:
        yield Contradiction(
            "changed-before-taken",
            f"Last changed {saved:%Y-%m-%d %H:%M:%S}, before it was taken {taken:%Y-%m-%d %H:%M:%S}.",
            "The two dates were not written by one clock: one was set by hand or by another device.",
            "Which of them is right.",
        )


@_rule
def _satellites(facts: Facts) -> Iterator[Contradiction]:
    taken = moment(facts.metadata.exif.get("DateTimeOriginal", ""))
    satellites = moment(f"{facts.metadata.gps_date} 12:00:00")
    if taken and satellites and abs(taken - satellites) > _ANOTHER_DAY:
        yield Contradiction(
            "gps-date",
            f"Taken {taken:%Y-%m-%d} by the camera's clock, {satellites:%Y-%m-%d} by the satellites'.",
            "One of the dates does not belong to this photograph, or the camera's clock was wrong.",
            "Which; clocks that were never set are common.",
        )


@_rule
def _dimensions(facts: Facts) -> Iterator[Contradiction]:
    stated = [facts.metadata.exif.get(name, "") for name in ("ExifImageWidth", "ExifImageHeight")]
    if not all(text.isdecimal() and int(text) for text in stated):
        return
    width, height = map(int, stated)
    if {width, height} != {facts.width, facts.height}:
        yield Contradiction(
            "dimensions",
            f"The metadata say {width}x{height} pixels, the file has {facts.width}x{facts.height}.",
            "The picture was resized or cropped after these metadata were written.",
            "That its content was changed; resizing also weakens most traces that the maps below rest on.",
        )


@_rule
def _progressive(facts: Facts) -> Iterator[Contradiction]:
    if facts.jpeg and facts.jpeg.process.startswith("progressive") and facts.metadata.camera:
        yield Contradiction(
            "progressive",
            f"The metadata name a camera ({facts.metadata.camera}), but the file is a progressive JPEG.",
            "A program saved it again, for example for the web: cameras write baseline JPEGs.",
            "That its content was changed.",
        )


@_rule
def _suffix(facts: Facts) -> Iterator[Contradiction]:
    promised = suffix_format(facts.name)
    if promised and promised != facts.format:
        yield Contradiction(
            "suffix",
            f"The name promises {promised}, the file is {facts.format}.",
            "The file was renamed or converted by something that did not care, often a messenger or a web site.",
            "That its content was changed.",
        )


@_rule
def _trailing(facts: Facts) -> Iterator[Contradiction]:
    if facts.jpeg and facts.jpeg.trailing == "unknown":
        yield Contradiction(
            "trailing-bytes",
            f"{facts.jpeg.trailing_bytes:,} bytes of unknown content follow the end of the image.",
            "Something was appended to the file, which viewers ignore.",
            "That it has to do with the picture: some cameras append data of their own.",
        )


def _named(facts: Facts, programs: tuple[str, ...]) -> list[str]:
    texts = [*facts.metadata.software, *facts.metadata.text.values()]
    return [text for text in dict.fromkeys(texts) if any(program in text.lower() for program in programs)]
