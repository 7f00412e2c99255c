"""One row on the page: its entry in the document, its pictures, and its numbers in words."""

from typing import Any, NamedTuple

from splice_jax.examination.looking import RowResult
from splice_jax.examination.output import pictures
from splice_jax.examination.output.document import row_entry

REASONS = {
    "clipped": "clipped to black or white",
    "flat": "flat",
    "unusable": "outside what this row can judge",
    "small": "smaller than this row's window",
}
"""Why nothing can be said of an area, by the names in the document."""


class View(NamedTuple):
    """One row on the page."""

    entry: dict[str, Any]
    """See `document.row_entry`."""
    map: str = ""
    """Data URIs of the map, of what is called spliced, and of the hatching; empty where there is none."""
    tint: str = ""
    hatching: str = ""
    threshold: float | None = None
    """Of the map, where it gives the mask; None where it does not."""

    @property
    def shares(self) -> list[str]:
        """The areas without evidence in words, the largest first; those below 1 % are left out."""
        named = sorted(self.entry["no_evidence"].items(), key=lambda item: -item[1])
        return [f"{percent(share)} {REASONS[reason]}" for reason, share in named if share >= 0.01]

    @property
    def against_authentic(self) -> str:
        """How the row does on authentic photographs, in one sentence; empty where it was not measured."""
        known = self.entry["authentic"]
        if known is None:
            return ""
        text = (
            f"In {_of_hundred(known['marked'] / known['photographs'])} authentic photographs this row marks something"
        )
        if self.entry["silent"] or not known["marked"]:
            return f"{text}."
        return f"{text}, and in {_of_hundred(known['as_clear'])} at least as clearly as here."


def view(result: RowResult, *, main: bool) -> View:
    """The view of a row's result, made while it has its map."""
    entry, found = row_entry(result), result.found
    if found is None:
        return View(entry)
    side = pictures.MAIN_SIDE if main else pictures.ROW_SIDE
    without = result.areas_without_evidence()
    return View(
        entry,
        pictures.grey_map(found.probability, side),
        pictures.tint(found.mask, side),
        pictures.hatching(without, side),
        pictures.threshold(found.probability, found.mask),
    )


def _of_hundred(share: float) -> str:
    return f"{100 * share:.0f} of 100" if share >= 0.005 else "fewer than 1 of 100"


def probability(score: float) -> str:
    """A probability for readers: never certainty.

    >>> probability(0.38), probability(0.99998), probability(0.0001)
    ('0.380', 'over 0.999', 'under 0.001')
    """
    if not 0.0005 <= score < 0.9995:
        return "over 0.999" if score > 0.5 else "under 0.001"
    return f"{score:.3f}"


def percent(share: float) -> str:
    """A share for readers.

    >>> percent(0.5), percent(0.3255), percent(0.0001)
    ('50 %', '32.6 %', 'under 0.1 %')
    """
    if 0 < share < 0.001:
        return "under 0.1 %"
    return f"{100 * share:.1f}".removesuffix(".0") + " %"
