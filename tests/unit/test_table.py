"""The table of fields: what methods declare, put together."""

from dataclasses import replace

import pytest

from lib_instantstyle.methods import TABLE
from lib_instantstyle.units.field import Declared, Field
from lib_instantstyle.units.unit import Table
from lib_instantstyle.units.values import Number

OWN = Field("strain", 1.0, Number(0, 2), "Strain", "how much", "how much of it", place=900)
METHOD = Declared("toy", "Toy", (OWN,))


def test_what_a_method_declares_becomes_a_field():
    table = Table([METHOD])
    assert table.usual_method == "toy"
    assert table.page_fields[-1] == "strain"
    assert table.unit_type().strain == 1.0


@pytest.mark.parametrize(
    "methods",
    [
        [METHOD, METHOD],
        [METHOD, replace(METHOD, name="other")],
        [METHOD, Declared("other", "Other", (replace(OWN, place=901),))],
    ],
)
def test_nothing_is_declared_twice(methods):
    with pytest.raises(ValueError, match="twice"):
        Table(methods)


@pytest.mark.parametrize("place", [OWN.place, TABLE.fields["weight"].place])
def test_no_two_fields_have_one_place(place):
    """The API's positional form would give both the same value, or none."""
    other = Declared("other", "Other", (replace(OWN, name="more", place=place),))
    with pytest.raises(ValueError, match="one place"):
        Table([METHOD, other])
