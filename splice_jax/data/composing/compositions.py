"""The table `compositions.csv` of a composed split: how each image was made, and from which photographs."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from splice_jax.errors import UserError, one_line

FILE_NAME = "compositions.csv"
COLUMNS = (
    "image", "host", "donor", "recipe", "seed", "index", "share", "scale", "angle", "feather", "jpeg_quality",
    "host_history", "donor_history", "host_content", "donor_content",
)  # fmt: skip
ROLES = ("host", "donor")


class Photograph(NamedTuple):
    """A photograph used in a composition: the name and a digest of its file.

    Tables written before version 0.2 have no digests; `content` is then "".
    """

    name: str
    content: str = ""


def photographs(split: Path) -> list[Photograph]:
    """All hosts and donors of a composed split, in order of name; none if it has no table.

    Raises:
      UserError: the table cannot be read, or is not a table of hosts and donors.
    """
    path = split / FILE_NAME
    if not path.exists():
        return []
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:  # Names need not be UTF-8.
            reader = csv.DictReader(file, restval="")
            found = {Photograph(row[role], row.get(f"{role}_content", "")) for row in reader for role in ROLES}
    except KeyError as error:
        raise UserError(f"{path}: has no column {error}; put compose's own table there, or remove the file") from error
    except (OSError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({one_line(error)}); compose the split anew") from error
    return sorted(found)


def shared(first: Iterable[Photograph], second: Iterable[Photograph]) -> list[tuple[Photograph, Photograph]]:
    """The photographs of `first` that are also in `second`, each paired with its counterpart there.

    They are compared by content, or by name if the content of either is unknown.

    >>> shared([Photograph("a.png", "1f"), Photograph("b.png", "2f")], [Photograph("copy.png", "1f")])
    [(Photograph(name='a.png', content='1f'), Photograph(name='copy.png', content='1f'))]
    """
    second = list(second)
    by_name = {photograph.name: photograph for photograph in second}
    by_content = {photograph.content: photograph for photograph in second if photograph.content}
    unknown = {photograph.name: photograph for photograph in second if not photograph.content}
    found = []
    for photograph in first:
        known = by_content.get(photograph.content) or unknown.get(photograph.name)
        same = known if photograph.content else by_name.get(photograph.name)
        if same is not None:
            found.append((photograph, same))
    return found
