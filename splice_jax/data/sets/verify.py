"""Checks that a data set is what it should be: counts, sizes, polarity, damage, and overlap between its splits.

Everything is read from the prepared set itself, image by image; its lists are not trusted.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from splice_jax.data.composing import compose, compositions
from splice_jax.data.sets import splits
from splice_jax.data.sets.builders import prepared
from splice_jax.data.sets.builders.base import (
    AUTHENTIC,
    FILE_NOTE,
    LEFT_OUT,
    MASK_NOTE,
    ORIENTATION_NOTE,
    SpliceBuilder,
)
from splice_jax.data.sets.builders.manual import WHOLE, ManualBuilder
from splice_jax.data.sets.reading import USUAL, Reading
from splice_jax.data.sets.splits import Surveyed
from splice_jax.errors import UserError, listed, one_line

OK, NOTE, WRONG = "ok", "note", "WRONG"

MOST_SPLICED = 0.5
"""Splices leave most of the host: if the mean spliced share is above this, black and white are swapped."""


class Finding(NamedTuple):
    """A line of the table: what was checked, what was found and expected, and the verdict: OK, NOTE or WRONG."""

    check: str
    found: str
    expected: str = ""
    verdict: str = OK


def verify(
    dataset: str, data_dir: str = "", images: Sequence[Surveyed] | None = None, reading: Reading = USUAL
) -> list[Finding]:
    """Looks at every image of a data set.

    Args:
      dataset, data_dir, reading: as in a configuration.
      images: its survey, if already made.

    Raises:
      UserError: there is no such data set, or it is not prepared.
    """
    builder = prepared(dataset, data_dir, reading)
    images = splits.survey(builder) if images is None else images
    findings = [
        *_counts(builder, images),
        *_sizes(builder, images),
        *_polarity(images),
        *_readable(images),
        *_noted(builder),
        *_twins(images),
    ]
    if isinstance(builder, ManualBuilder):
        return findings + _unchanged(builder, images) + _seeds(builder, images)
    findings += _apart("splits", images, [image.part.removesuffix(AUTHENTIC) for image in images])
    return findings + _composed(Path(data_dir).expanduser()) if dataset == "folder" else findings


def table(findings: Sequence[Finding]) -> str:
    """The findings as lines of text, in columns."""
    rows = [Finding("check", "found", "expected", "verdict"), *findings]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)), row.verdict])
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def require_nothing_wrong(findings: Sequence[Finding], title: str) -> None:
    """Raises a UserError that names the checks that found something wrong, if any did."""
    wrong = list(dict.fromkeys(finding.check for finding in findings if finding.verdict == WRONG))
    if wrong:
        raise UserError(f"{title}: wrong are {listed(wrong)}; the table says what was found")


def _counts(builder: SpliceBuilder, images: Sequence[Surveyed]) -> list[Finding]:
    numbers = {
        "spliced images": sum(not image.authentic for image in images),
        "authentic images": sum(image.authentic for image in images),
    }
    if not isinstance(builder, ManualBuilder):
        return [Finding(check, str(number)) for check, number in numbers.items()]
    published = builder.PUBLISHED
    findings = []
    for (check, number), should in zip(numbers.items(), (published.spliced, published.authentic), strict=True):
        verdict = OK if number == should else WRONG if published.exact else NOTE
        findings.append(Finding(check, str(number), f"{should} ({published.source})", verdict))
    return findings


def _sizes(builder: SpliceBuilder, images: Sequence[Surveyed]) -> list[Finding]:
    sizes = {image.size[::-1] for image in images if not image.problem}
    if not sizes:
        return []
    by_area = sorted(sizes, key=lambda size: size[0] * size[1])
    found = f"{_range(by_area[0], by_area[-1])}, {len(sizes)} different"
    published = builder.PUBLISHED.sizes if isinstance(builder, ManualBuilder) else None
    if published is None:
        return [Finding("sizes", found)]
    return [Finding("sizes", found, _range(*published), OK if (by_area[0], by_area[-1]) == published else NOTE)]


def _range(smallest: tuple[int, int], largest: tuple[int, int]) -> str:
    return " to ".join(dict.fromkeys(f"{width}x{height}" for width, height in (smallest, largest)))


def _polarity(images: Sequence[Surveyed]) -> list[Finding]:
    decoded = [image for image in images if not image.problem]
    spliced = [image for image in decoded if not image.authentic]
    if not spliced:
        return []
    shares = [image.share for image in spliced]
    found = f"{min(shares):.1%} to {max(shares):.1%}, mean {np.mean(shares):.1%}"
    expected = f"mean at most {MOST_SPLICED:.0%}; above it, masks are inverted"
    large = [image.name for image in spliced if image.share > MOST_SPLICED]
    wrong = [image.name for image in decoded if (image.share > 0 if image.authentic else image.share in (0, 1))]
    return [
        Finding("spliced share", found, expected, OK if np.mean(shares) <= MOST_SPLICED else WRONG),
        _named("mostly spliced", large, "few", NOTE),
        _named("wrong masks", wrong, "none that marks nothing or all; authentic: nothing", WRONG),
    ]


def _readable(images: Sequence[Surveyed]) -> list[Finding]:
    return [_named("unreadable", [image.problem for image in images if image.problem], "none", WRONG)]


def _noted(builder: SpliceBuilder) -> list[Finding]:
    """What was noted when the set was prepared, as far as there is anything."""
    notes = [note for of_part in builder.notes.values() for note in of_part]
    kinds = {LEFT_OUT: "left out", FILE_NOTE: "odd files", MASK_NOTE: "odd masks", ORIENTATION_NOTE: "mask not turned"}
    found = {check: [note.text for note in notes if note.kind == kind] for kind, check in kinds.items()}
    return [_named(check, texts, "none", NOTE) for check, texts in found.items() if texts]


def _twins(images: Sequence[Surveyed]) -> list[Finding]:
    names: dict[str, list[str]] = {}
    for image in images:
        if image.content:
            names.setdefault(image.content, []).append(image.name)
    return [_named("same pixels", [" = ".join(same) for same in names.values() if len(same) > 1], "none", NOTE)]


def _unchanged(builder: ManualBuilder, images: Sequence[Surveyed]) -> list[Finding]:
    before = {image.name: image.content for image in splits.image_list(builder, lambda: images)}
    changed = [image.name for image in images if before.get(image.name) != image.content]
    sizes = Counter(splits.groups(images).tolist()).values()
    shared = f"{sum(size > 1 for size in sizes)} groups, the largest of {max(sizes)} images"
    return [
        _named("changed since prepared", changed, "none", WRONG),
        Finding("sharing content", shared, "kept together"),
    ]


def _seeds(builder: ManualBuilder, images: Sequence[Surveyed]) -> list[Finding]:
    known = splits.image_list(builder)
    files = (Path(builder.data_dir) / "splits").glob("seed*.csv")
    seeds = sorted(int(number) for path in files if (number := path.stem.removeprefix("seed")).isdecimal())
    findings = []
    for seed in seeds:
        where = splits.split_of(builder, known, seed)
        there = [image for image in images if image.name in where]  # A broken record has no name.
        findings.append(_shares(f"seed {seed}", [where[image.name] for image in known if image.part == WHOLE]))
        findings += _apart(f"seed {seed}", there, [where[image.name] for image in there])
    return findings or [Finding("splits", "none", "splits/seedN.csv", WRONG)]


def _shares(title: str, split: Sequence[str]) -> Finding:
    counts = Counter(split)
    found = ", ".join(f"{name} {counts[name]} ({counts[name] / len(split):.0%})" for name in splits.SHARES)
    expected = ", ".join(f"{share:.0%}" for share in splits.SHARES.values())
    return Finding(title, found, expected, OK if all(counts[name] for name in splits.SHARES) else WRONG)


def _apart(title: str, images: Sequence[Surveyed], split: Sequence[str]) -> list[Finding]:
    """Images, patches and photographs in more than one split; `split` gives each image's split."""
    contents = [[image.content] if image.content else [] for image in images]
    across = {
        "images": _shared([_digests(of_image) for of_image in contents], split),
        "patches": _shared([image.patches for image in images], split),
        "photographs": _shared([_digests(image.photographs) for image in images], split),
    }
    return [
        Finding(f"{title}: shared {what}", str(count), "0", WRONG if count else OK) for what, count in across.items()
    ]


def _composed(folder: Path) -> list[Finding]:
    """Hosts and donors in more than one composed split, according to the tables."""
    try:
        photographs = {split: compositions.photographs(folder / split) for split in compose.SPLITS}
    except UserError as error:
        return [Finding("compositions", one_line(error), "hosts and donors", WRONG)]
    if not any(photographs.values()):
        return []
    pairs = itertools.combinations(compose.SPLITS, 2)
    same = [both for one, other in pairs for both in compositions.shared(photographs[one], photographs[other])]
    by_name = [one.name for one, other in same if not (one.content and other.content)]
    by_content = [" = ".join(dict.fromkeys((one.name, other.name))) for one, other in same if one.name not in by_name]
    findings = [_named("splits: shared hosts or donors", by_content, "0", WRONG)]
    return findings + [_named("of the same name", by_name, "0", NOTE)] if by_name else findings


def _digests(texts: Sequence[str]) -> list[int]:
    return [splits.digest(text.encode()) for text in texts]


def _shared(keys: Sequence[Sequence[int] | np.ndarray], split: Sequence[str]) -> int:
    """How many distinct keys occur in more than one split."""
    of_split: dict[str, list[np.ndarray]] = {}
    for of_image, name in zip(keys, split, strict=True):
        of_split.setdefault(name, []).append(np.asarray(of_image, np.uint64))
    distinct = [np.unique(np.concatenate(arrays)) for arrays in of_split.values()]
    _, counts = np.unique(np.concatenate(distinct or [np.empty(0, np.uint64)]), return_counts=True)
    return int(np.count_nonzero(counts > 1))


def _named(check: str, names: Sequence[str], expected: str, verdict: str) -> Finding:
    return Finding(check, f"{len(names)}: {listed(names, 3)}" if names else "0", expected, verdict if names else OK)
