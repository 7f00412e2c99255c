"""The data set `nc2016`: the splices of NIST's Nimble Challenge 2016, from both of its collections.

The pipe-separated reference/manipulation/NC2016-manipulation-ref.csv says which probes are spliced, authentic, or
manipulated in another way (removal, copy and paste within the image); the last are left out. In the masks, black is
manipulated. JPEG files are kept byte for byte.

Whole series of probes were made from the same photograph. The reference names it (BaseFileName), the donor if there is
one, and the authentic probe of the same scene (CorrespondingControlFileName): probes that share one of these stay in
one split.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from splice_jax.data.sets.builders.base import Note
from splice_jax.data.sets.builders.manual import (
    WHOLE_COPY,
    ManualBuilder,
    Mask,
    Published,
    Source,
    entries,
    folder_with,
)
from splice_jax.data.sets.builders.oriented import fitted, refuse_other_size
from splice_jax.errors import UserError, listed, one_line, printable
from splice_jax.files import refuse_broken_link
from splice_jax.images import Picture, mask_of

REFERENCE = Path("reference", "manipulation", "NC2016-manipulation-ref.csv")
REQUIRED = ("ProbeFileName", "ProbeMaskFileName", "IsTarget", "IsManipulationTypeSplice")
PHOTOGRAPHS = ("ProbeFileName", "BaseFileName", "DonorFileName", "CorrespondingControlFileName")

Row = Mapping[str, str]


class Nc2016(ManualBuilder):
    """Builder of `nc2016`."""

    VERSION = "1.0.0"
    TITLE = "NIST Nimble Challenge 2016 data set"
    INSTRUCTIONS = """\
Where:  on request from NIST, https://www.nist.gov/itl/iad/mig/media-forensics-challenge ; there is a registration
        with a licence agreement. The archive is called NC2016_Test0613 or similar.
Folder: DIR/probe/*.jpg and DIR/reference/manipulation/, with NC2016-manipulation-ref.csv and mask/*.png in it. DIR
        may also be the folder that NC2016_Test0613 lies in.
Terms:  NIST's data licence agreement, which you sign; we have not seen its text. Do not redistribute."""
    PUBLISHED = Published(280, 560, False, "the paper's use; authentic: public lists; copies differ")

    def sources(self, folder: Path) -> list[Source]:
        """Spliced probes with their masks and authentic probes, in the reference's order."""
        root = folder_with(folder, REFERENCE.parts[0])
        reference = root / REFERENCE
        found: dict[Path, Source] = {}
        for number, row in enumerate(read_reference(reference), 2):
            spliced = row["IsManipulationTypeSplice"].upper() == "Y"
            if not spliced and row["IsTarget"].upper() != "N":
                continue
            try:
                probe = inside(root, row["ProbeFileName"])
                masks = (inside(root, row["ProbeMaskFileName"]),) if spliced else ()
            except ValueError as error:
                raise UserError(f"{reference}, line {number}: {error}") from error
            found[probe] = _joined(found.get(probe), Source(probe, masks, _photographs(row)))
        if not any(source.masks for source in found.values()):
            raise UserError(f"{reference}: lists no splice (IsManipulationTypeSplice = Y); get a whole copy")
        return list(found.values())

    def read_spliced(self, mask: Path, image: Path, picture: Picture) -> tuple[Mask, tuple[Note, ...]]:
        """True where a mask is black; turned with the image if the mask was made for the image as stored."""
        read = mask_of(mask)
        inverted = read._replace(spliced=~read.spliced)
        spliced, notes = fitted(inverted, mask, picture, image, self._mask_orientation)
        refuse_other_size(spliced, mask, image, (picture.pixels.shape[0], picture.pixels.shape[1]), WHOLE_COPY)
        return spliced, notes


def read_reference(path: Path) -> Sequence[Row]:
    """The lines of the reference.

    Raises:
      UserError: there is no such file, it is not text, or columns are missing.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="|", restval="")
            rows = [{name.strip(): value.strip() for name, value in row.items() if name} for row in reader]
            columns = [name.strip() for name in reader.fieldnames or ()]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({one_line(error)}); get a whole copy of the data set") from error
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise UserError(f"{path}: has no column {listed(missing)}; its columns, separated by |, are {listed(columns)}")
    return rows


def inside(root: Path, name: str) -> Path:
    """The file that a name in the reference, in any case, refers to; must be inside `root`.

    Raises:
      ValueError: the name leads outside `root`, or there is no such file.
    """
    shown = printable(name)
    parts = Path(name.replace("\\", "/")).parts
    if not parts or ".." in parts or parts[0].startswith("/") or ":" in parts[0]:
        raise ValueError(f"{shown!r} is no path within the data set; get a whole copy of the reference")
    path = root
    for part in parts:
        path = path / part if (path / part).exists() else _any_case(path, part)
    refuse_broken_link(path)
    if not path.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"{shown} leads out of the data set; replace the link by the file")
    if not path.is_file():
        raise ValueError(f"{shown} is missing; get a whole copy of the data set")
    return path


def _any_case(folder: Path, name: str) -> Path:
    found = entries(folder).get(name.lower()) if folder.is_dir() else None
    return found or folder / name


def _photographs(row: Row) -> tuple[str, ...]:
    return tuple(row[column].lower() for column in PHOTOGRAPHS if row.get(column))


def _joined(first: Source | None, second: Source) -> Source:
    """A probe may appear on several lines, for several splices."""
    if first is None:
        return second
    masks = dict.fromkeys(first.masks + second.masks)
    photographs = dict.fromkeys(first.photographs + second.photographs)
    return Source(first.image, tuple(masks), tuple(photographs))
