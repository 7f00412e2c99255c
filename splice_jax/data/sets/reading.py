"""How the files of a data set are taken, where that is the user's choice."""

from collections.abc import Mapping
from typing import Any, NamedTuple

STEM = "{stem}"
"""What stands for the image's name, without its suffix, in a `mask_pattern`."""

STORED, DISPLAYED = "stored", "displayed"
ORIENTATIONS = ("", STORED, DISPLAYED)
"""Choices of `mask_orientation`."""


class Reading(NamedTuple):
    """The configuration's fields of the same names."""

    mask_pattern: str = STEM
    """A mask's name, with its suffix or without."""
    mask_orientation: str = ""
    """stored or displayed: which pixels masks were drawn on, where image and mask differ in EXIF orientation."""
    skip_unreadable: bool = False
    """Whether files that cannot be used are left out; otherwise they are named, and the set is refused."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Reading":
        """What a configuration says."""
        return cls(*(config[field] for field in cls._fields))


USUAL = Reading()
"""The defaults."""
