import pytest

from splice_jax.evaluation.scores.conventions import CONVENTIONS, HALF, HEADLINE, Convention, find


def test_the_grid_is_every_combination_once_the_headline_first() -> None:
    assert CONVENTIONS[:2] == (HEADLINE, HALF)
    assert len(set(CONVENTIONS)) == len(CONVENTIONS) == 4 * 2 * 2


def test_every_convention_is_named_in_full_and_differently() -> None:
    assert str(HEADLINE) == "at the best threshold per image (oracle), given polarity, mean over images"
    pooled = Convention("validation", "pooled", "oracle")
    assert str(pooled) == "at the threshold chosen on validation, better of both polarities (oracle), pooled pixels"
    assert len({str(convention) for convention in CONVENTIONS}) == len(CONVENTIONS)


def test_an_entry_is_found_by_its_convention_and_missed_by_name() -> None:
    entries = [{"threshold": c.threshold, "average": c.average, "polarity": c.polarity} for c in CONVENTIONS[:3]]
    assert find(entries, CONVENTIONS[2]) is entries[2]
    with pytest.raises(KeyError, match="chosen on validation"):
        find(entries, Convention("validation"))
