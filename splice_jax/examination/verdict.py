"""What the main row says of a photograph as a whole, in one sentence with its meaning, and what it does not say."""

from dataclasses import dataclass

from splice_jax.methods.localizer import Found, Localizer
from splice_jax.metrics import clopper_pearson

ALARMING, UNUSUAL = 0.05, 0.2
"""Up to these shares of authentic photographs that look at least as suspicious, the photograph is called so."""


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


def verdict(localizer: Localizer | None, found: Found | None) -> Verdict:
    """The verdict of a row.

    Args:
        localizer: the main row; None where only rows without a network looked at the photograph.
        found: what it found; None where it could say nothing.
    """
    if localizer is None:
        return _without_network()
    if found is None or found.alarm is None:
        return _uncalibrated(localizer, found)
    return _calibrated(localizer, found, found.alarm)


def _calibrated(localizer: Localizer, found: Found, alarm: float) -> Verdict:
    calibration = getattr(localizer, "calibration", None)
    photographs = calibration.photographs if calibration else None
    interval = clopper_pearson(round(alarm * photographs), photographs) if photographs else None
    level, headline = _level(alarm)
    measured = f" ({per_hundred(interval[0])} to {per_hundred(interval[1])}" if interval else ""
    measured += f" with 95 % confidence, measured on {photographs:,} photographs)" if interval else ""
    sentence = f"Of 100 authentic photographs, {per_hundred(alarm)} look as suspicious as this one{measured}."
    if found.score is not None:
        sentence += " If half of all photographs were spliced, the probability that this one is would be "
        sentence += f"{_percent(found.score)}."
    caution = (
        f"This is the statement of one program (row {localizer.name}) about photographs like those it was measured on. "
        "It is no proof: read the map, and where the photograph comes from."
    )
    return Verdict(
        level, headline, sentence, caution, localizer.name, found.score, found.alarm, interval, photographs or None
    )


def _percent(probability: float) -> str:
    """Never certainty: what was measured on some hundred photographs cannot say it.

    >>> _percent(0.912), _percent(0.9996), _percent(0.001)
    ('91 %', 'over 99 %', 'under 1 %')
    """
    if probability > 0.99:
        return "over 99 %"
    return "under 1 %" if probability < 0.01 else f"{100 * probability:.0f} %"


def per_hundred(share: float) -> str:
    """A share as a number of 100, with one decimal where it is below 10 and needs it.

    >>> per_hundred(0.04), per_hundred(0.0004), per_hundred(0.123), per_hundred(0)
    ('4', 'fewer than 0.1', '12', '0')
    """
    hundredfold = 100 * share
    if 0 < hundredfold < 0.1:
        return "fewer than 0.1"
    return f"{hundredfold:.0f}" if hundredfold >= 10 else f"{hundredfold:.1f}".removesuffix(".0")


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
