import pytest

from splice_jax import methods

NAMES = ("Found", "Localizer", "Undefined", "localizer", "names", "register")


@pytest.mark.parametrize("name", NAMES)
def test_old_names_give_what_methods_has_and_warn(name: str) -> None:
    from splice_jax import localizers

    with pytest.warns(DeprecationWarning, match=rf"splice_jax\.localizers\.{name} is splice_jax\.methods\.{name} now"):
        found = getattr(localizers, name)
    assert found is getattr(methods, name)


def test_an_import_of_an_old_name_warns_where_it_stands() -> None:
    with pytest.warns(DeprecationWarning) as caught:
        from splice_jax.localizers import localizer
    assert localizer is methods.localizer
    assert caught[0].filename == __file__


def test_there_is_nothing_else() -> None:
    from splice_jax import localizers

    with pytest.raises(AttributeError, match="has no attribute 'HOMES'"):
        _ = localizers.HOMES
