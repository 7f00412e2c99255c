"""What the main row says of a photograph as a whole, in one sentence with its meaning, and what it does not say."""

from dataclasses import dataclass
from typing import NamedTuple

from splice_jax.methods.localizer import Found, Localizer
from splice_jax.metrics import clopper_pearson
from splice_jax.weights.calibration import CHECKED, KINDS, Calibration

ALARMING, UNUSUAL = CHECKED, 0.2
"""Up to these shares of authentic photographs that look at least as suspicious, the photograph is called so."""
ALONE = "It rests on this row alone: joined with the rows below, it was no better on splices of other sources."
"""Measured by benchmarks/fusion.py; see docs/examination.md."""
FEWEST = 100
"""With fewer authentic photographs of its kind, a photograph is compared with those of all kinds alone."""


@dataclass(frozen=True)
class Verdict:
    """The verdict on one photograph."""

    level: str
    """`suspicious`, `unusual`, `ordinary`, or `none` where no row has a calibrated score."""
    headline: str
    sentence: str
    caution: str
    """What the sentence does not say."""
    row: str = ""
    """The row that it rests on; empty where there is none."""
    score: float | None = None
    alarm: float | None = None
    interval: tuple[float, float] | None = None
    """95 % interval of `alarm` (Clopper–Pearson); None where the number of photographs is not known."""
    photographs: int | None = None
    """Authentic photographs that `alarm` was measured on."""
    kind: str = ""
    """Of the photograph's file, as in `KINDS`; empty where it was not asked for."""
    kind_photographs: int | None = None
    """How many of `photographs` are of this kind; None where that is not known."""
    kind_alarm: float | None = None
    """As `alarm`, among those of this kind; None where they are fewer than `FEWEST`. The level is by this one, then."""
    kind_interval: tuple[float, float] | None = None


def verdict(localizer: Localizer | None, found: Found | None, kind: str = "") -> Verdict:
    """The verdict of a row.

    Args:
        localizer: the main row; None where only rows without a network looked at the photograph.
        found: what it found; None where it could say nothing.
        kind: of the photograph's file, see `KINDS`.
    """
    if localizer is None:
        return _without_network()
    if found is None or found.alarm is None:
        return _uncalibrated(localizer, found)
    return _calibrated(localizer, found, found.alarm, kind)


def _calibrated(localizer: Localizer, found: Found, alarm: float, kind: str) -> Verdict:
    calibration: Calibration | None = getattr(localizer, "calibration", None)
    everything = _Share(alarm, calibration.photographs) if calibration else _Share(alarm)
    of_kind = _of_kind(calibration, kind, alarm)
    shown = of_kind if of_kind and of_kind.photographs >= FEWEST else None
    level, headline = _level((shown or everything).share)
    about = (
        f"This is the statement of one program (its row {localizer.name}) about photographs like those it was measured "
        "on."
    )
    if of_kind and not shown:
        few = f"{of_kind.photographs} of this one's kind ({KINDS[kind]}), too few to compare it with them alone"
        about += f" Among those are {few}."
    return Verdict(
        level,
        headline,
        _compared(everything, shown, kind) + _probability(found.score),
        f"{about} {_checked(calibration)}{ALONE} It is no proof: read the map, and where the photograph comes from.",
        localizer.name,
        found.score,
        alarm,
        everything.interval,
        everything.photographs or None,
        kind,
        of_kind.photographs if of_kind else None,
        shown.share if shown else None,
        shown.interval if shown else None,
    )


def _checked(calibration: Calibration | None) -> str:
    """What was found where the calibration was put to the test."""
    if calibration is None or not len(calibration.checked):
        return ""
    alarms, photographs = calibration.checked.tolist()
    found = _Share(alarms / photographs, photographs)
    low, high = (100 * end for end in found.interval or (0, 1))
    return (
        f"On {photographs:,} other authentic photographs it was put to the test: {per_hundred(found.share)} of 100 "
        f"({low:.0f} to {high:.0f} with 95 % confidence) looked as suspicious as {per_hundred(CHECKED)} of 100 should. "
    )


class _Share(NamedTuple):
    """How many authentic photographs look as suspicious."""

    share: float
    photographs: int = 0
    """0 where it is not known."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """Clopper–Pearson."""
        return clopper_pearson(round(self.share * self.photographs), self.photographs) if self.photographs else None

    @property
    def measured(self) -> str:
        """The interval in words."""
        if self.interval is None:
            return ""
        low, high = (100 * end for end in self.interval)
        return f" ({low:.0f} to {high:.0f} with 95 % confidence, measured on {self.photographs:,} photographs)"


def _of_kind(calibration: Calibration | None, kind: str, alarm: float) -> _Share | None:
    if calibration is None or not kind or not len(calibration.kinds):
        return None
    as_high, photographs = calibration.counted(kind, alarm)
    return _Share(as_high / photographs if photographs else 0.0, photographs)


def _compared(everything: _Share, of_kind: _Share | None, kind: str) -> str:
    if of_kind is None:
        return f"Of 100 authentic photographs, {_look(everything)} as suspicious as this one{everything.measured}."
    return (
        f"Of 100 authentic photographs of this kind ({KINDS[kind]}), {_look(of_kind)} as suspicious as this one"
        f"{of_kind.measured}; of 100 of all kinds, {per_hundred(everything.share)}."
    )


def _look(counted: _Share) -> str:
    many = per_hundred(counted.share)
    return f"{many} {'looks' if many == '1' else 'look'}"


def _probability(score: float | None) -> str:
    if score is None:
        return ""
    spliced = "If half of all photographs were spliced, the probability that this one is would be"
    return f" {spliced} {_percent(score)}."


def _percent(probability: float) -> str:
    """Never certainty: what was measured on some hundred photographs cannot say it.

    >>> _percent(0.912), _percent(0.9996), _percent(0.001)
    ('91 %', 'over 99 %', 'under 1 %')
    """
    if probability > 0.99:
        return "over 99 %"
    return "under 1 %" if probability < 0.01 else f"{100 * probability:.0f} %"


def per_hundred(share: float) -> str:
    """A share as a number of 100, whole: what some hundred photographs were counted for has no decimals.

    >>> per_hundred(0.053), per_hundred(0.0004), per_hundred(0)
    ('5', 'fewer than 1', 'none')
    """
    if 0 < share < 0.01:
        return "fewer than 1"
    return f"{100 * share:.0f}" if share else "none"


def _level(alarm: float) -> tuple[str, str]:
    if alarm <= ALARMING:
        return "suspicious", "Suspicious: few authentic photographs look like this"
    if alarm <= UNUSUAL:
        return "unusual", "Somewhat unusual, as many authentic photographs are"
    return "ordinary", "Nothing unusual was found"


def _uncalibrated(localizer: Localizer, found: Found | None) -> Verdict:
    headline = f"No verdict: {localizer.name} has no calibrated score"
    sentence = (
        "Its map ranks the parts of this photograph by how much they look pasted in; it was never counted how often "
    )
    sentence += "authentic photographs look the same."
    if found is None:
        headline = f"No verdict: {localizer.name} can say nothing about this photograph"
        sentence = "The reason stands below; what follows are other rows, and none of them has a calibrated score."
    caution = "Any map has a brightest part, in authentic photographs too: a marked area alone means nothing."
    return Verdict("none", headline, sentence, caution, localizer.name)


def _without_network() -> Verdict:
    return Verdict(
        "none",
        "No verdict: no trained model looked at this photograph",
        "The maps below come from rows without a network. Each shows where one trace differs from the rest of the "
        "photograph, and none of them says how likely a splice is.",
        "Any map has a brightest part, in authentic photographs too: a marked area alone means nothing.",
    )
