"""A row's numbers in words."""

from typing import Any

from splice_jax.examination.looking import RowResult
from splice_jax.examination.output.view import View, percent, view


def entry(**changes: Any) -> dict[str, Any]:
    return {"silent": False, "authentic": None, "no_evidence": {}, **changes}


def test_shares_are_told_largest_first_and_tiny_ones_are_left_out() -> None:
    made = View(entry(no_evidence={"clipped": 0.031, "flat": 0.0001, "small": 0.4, "unusable": 0.0}))
    assert made.shares == ["40 % smaller than this row's window", "3.1 % clipped to black or white"]


def test_authentic_photographs_are_told_as_far_as_they_were_measured() -> None:
    assert View(entry()).against_authentic == ""
    known = {"photographs": 200, "marked": 20, "as_clear": 0.03}
    text = "In 10 of 100 authentic photographs this row marks something"
    assert View(entry(authentic=known)).against_authentic == f"{text}, and in 3 of 100 at least as clearly as here."
    assert View(entry(authentic=known, silent=True)).against_authentic == f"{text}."
    never = View(entry(authentic={**known, "marked": 0, "as_clear": 0.0})).against_authentic
    assert never == "In fewer than 1 of 100 authentic photographs this row marks something."


def test_a_row_without_a_map_has_no_pictures() -> None:
    made = view(RowResult("noi1", "Noise.", undefined="needs more"), main=False)
    assert (made.map, made.tint, made.hatching, made.threshold) == ("", "", "", None)
    assert made.entry["undefined"] == "needs more" and made.entry["marked_share"] is None


def test_percentages_are_short() -> None:
    assert [percent(share) for share in (0, 0.0004, 0.02, 0.325, 0.5, 1)] == [
        "0 %",
        "under 0.1 %",
        "2 %",
        "32.5 %",
        "50 %",
        "100 %",
    ]
