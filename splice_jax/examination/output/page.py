"""The page of an examination: one self-contained HTML file, whose policy forbids any request.

Everything that comes from the photograph's file is escaped; the document is embedded as JSON that cannot close its
element.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from splice_jax.evaluation.output.report.templates import part, templates
from splice_jax.examination.file.facts import Facts
from splice_jax.examination.output import pictures
from splice_jax.examination.output.view import View, percent, probability
from splice_jax.examination.photograph import Examination

_PACKAGE = "splice_jax.examination.output"
_ORIENTATIONS = {
    1: "as stored",
    2: "mirrored",
    3: "turned by 180°",
    4: "mirrored, turned by 180°",
    5: "mirrored, turned by 90°",
    6: "turned by 90° clockwise",
    7: "mirrored, turned by 270°",
    8: "turned by 90° counterclockwise",
}


def page(examination: Examination, views: Sequence[View], content: Mapping[str, Any]) -> str:
    """The page as text.

    Args:
        examination: what was found.
        views: of each row, the main one first.
        content: the document, see `document`.
    """
    named = [view for view in views if view.entry["row"] == examination.verdict.row and view.map]
    height, width = examination.image.shape[:2]
    return (
        templates(_PACKAGE)
        .get_template("examination.html")
        .render(
            facts=examination.facts,
            verdict=examination.verdict,
            main=named[0] if named else None,
            mapped=_ordered([view for view in views if view.map and not view.entry["silent"]], examination.verdict.row),
            standing_out=content["standing_out"],
            without=[view for view in views if not view.map or view.entry["silent"]],
            contradictions=examination.contradictions,
            about_file=_about_file(examination),
            about_metadata=_about_metadata(examination.facts),
            about_jpeg=_about_jpeg(examination),
            thumbnail=_thumbnail(examination.facts),
            photograph=pictures.photograph(examination.image),
            small_photograph=pictures.photograph(examination.image, pictures.ROW_SIDE),
            size=(width, height),
            document=content,
            percent=percent,
            probability=probability,
            style=part(_PACKAGE, "examination.css"),
            program=part(_PACKAGE, "examination.js"),
        )
    )


def _ordered(views: list[View], main: str) -> list[View]:
    """The main row, then those that were not measured, then the others, the rarest in authentic photographs first."""
    return sorted(
        views, key=lambda view: (view.entry["row"] != main, (view.entry["authentic"] or {}).get("as_clear", 0))
    )


def _about_file(examination: Examination) -> dict[str, str]:
    facts, without = examination.facts, examination.no_evidence
    clipped, flat = (percent(float(area.mean())) for area in (without.clipped, without.flat))
    turned = _ORIENTATIONS.get(facts.orientation, "unknown")
    return {
        "File": facts.name,
        "Size": f"{facts.size:,} bytes",
        "SHA-256": facts.sha256,
        "Format": f"{facts.format}, {facts.mode}",
        "Pixels": f"{facts.width} × {facts.height} ({facts.width * facts.height / 1e6:.1f} megapixels), {turned}",
        "Colour profile": facts.profile or "none",
        "Resized": "signs of it found" if examination.resized else "no signs found, which excludes little",
        "Without evidence": f"{clipped} clipped to black or white, {flat} flat",
        "Content Credentials": "; ".join(facts.credentials),
    }


def _about_metadata(facts: Facts) -> dict[str, str]:
    found = facts.metadata
    told = {
        "Camera": found.camera,
        "Programs": ", ".join(found.software),
        "Date taken": found.exif.get("DateTimeOriginal", ""),
        "Date of last change": found.exif.get("DateTime", ""),
        "Place": "coordinates are in the file; they are not shown here" if found.gps else "",
        "Thumbnail": "embedded, see below" if facts.thumbnail else "",
        "Metadata": found.problem,
    }
    missing = ", ".join(name.lower() for name, text in told.items() if not text and name != "Metadata")
    return {name: text for name, text in told.items() if text} | ({"Not in the file": missing} if missing else {})


def _about_jpeg(examination: Examination) -> dict[str, str]:
    facts, found = examination.facts, examination.facts.jpeg
    if found is None:
        return {"Compressions": examination.compressions}
    tail = f"{found.trailing_bytes:,} bytes after the image: {found.trailing}" if found.trailing_bytes else "none"
    markers = f"{found.restart_markers:,}, every {found.restart_interval} blocks" if found.restart_interval else "none"
    told = {
        "Process": f"{found.process}, {found.precision} bits, {found.scans} {'scan' if found.scans == 1 else 'scans'}",
        "Colour subsampling": found.subsampling,
        "Quality": "; ".join(_quality(name, *quality) for name, quality in facts.qualities.items()) or "unknown",
        "Compressions": examination.compressions,
        "Restart markers": markers,
        "Trailing bytes": tail,
        "Segments": ", ".join(found.identifiers()) or "none that name themselves",
    }
    return {**told, "Broken": found.problem} if found.problem else told


def _quality(name: str, quality: int, exact: bool) -> str:
    return f"{name} {quality}, the standard's table" if exact else f"{name} about {quality}, a table of its own"


def _thumbnail(facts: Facts) -> dict[str, Any] | None:
    found = facts.thumbnail
    if found is None:
        return None
    return {
        "embedded": pictures.small(found.pixels),
        "photograph": pictures.small(found.photograph),
        "difference": pictures.small(found.difference_picture()),
        "width": found.pixels.shape[1],
        "height": found.pixels.shape[0],
        "differs": found.differs,
        "numbers": f"correlation {found.correlation:.3f}, largest difference {found.difference:.1f} of 255 levels",
    }
