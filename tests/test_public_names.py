"""The public shelf: alphabetic, complete, importable, documented."""

import importlib
import inspect

import pytest

import odkit


def test_the_shelf_is_alphabetic_and_complete():
    assert sorted(odkit.__all__, key=str.lower) == sorted(odkit._SHELF, key=str.lower)
    assert list(odkit._SHELF) == sorted(odkit._SHELF)
    assert set(odkit.__all__) <= set(dir(odkit))


@pytest.mark.parametrize("name", sorted(odkit._SHELF))
def test_every_name_is_where_the_shelf_says_and_documented(name):
    value = getattr(odkit, name)
    assert value.__module__ == odkit._SHELF[name]
    assert name in importlib.import_module(odkit._SHELF[name]).__all__
    doc = inspect.getdoc(value)
    assert doc
    if inspect.isclass(value) and name != "Detector" and hasattr(value, "score_samples"):
        for part in ("Parameters", "Attributes", "**Score:**", "**Cost:**", "**Source:**", ">>>", "fail"):
            assert part in doc, f"{name}: the docstring lacks {part}"
        documented = doc
        for parameter in inspect.signature(value.__init__).parameters:
            assert parameter == "self" or parameter in documented, f"{name}: {parameter} is not documented"


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(AttributeError, match=r"no attribute 'Nothing'.*ECOD"):
        odkit.Nothing  # noqa: B018
