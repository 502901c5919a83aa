"""The table of fields: what methods declare, put together."""

from dataclasses import replace

import pytest

from lib_instantstyle.methods import TABLE
from lib_instantstyle.units.field import Declared, Field
from lib_instantstyle.units.unit import RELEASED, Table
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


# -- the positional form ---------------------------------------------------------------------------


def later_table(more):
    """A table with `more` fields behind the others, as a later version has."""
    own = tuple(replace(OWN, name=f"strain_{i}", place=901 + i) for i in range(more))
    return Table([*TABLE.methods.values(), Declared("later", "Later", own)])


def values_of(table, units, last):
    """The values that the page of `table` sends for `units`, objects; of fields up to `last`."""
    defaults = {name: each.default for name, each in table.fields.items() if each.place <= last}
    rows = [{**defaults, **unit} for unit in units]
    parts = (table.page_fields, table.pictures)
    return [row[name] for names in parts for row in rows for name in names if name in defaults]


SENT = [{"weight": 0.5, "image": "a"}, {"enabled": False}, {"mask": "b"}, {"preset": "layout"}]


@pytest.mark.parametrize("more", [0, 1, 2, 5, 15])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_client_of_0_1_0_sends_fewer_fields_and_is_understood(more, count):
    later, sent = later_table(more), SENT[:count]
    released = values_of(TABLE, sent, RELEASED[0])
    assert len(released) == count * 45
    now = values_of(later, sent, OWN.place + more)
    empty = [*released, *[""] * (len(now) - len(released))]
    starts = values_of(later, [dict.fromkeys(later.pictures, "")] * count, OWN.place + more)
    filled_up = [*released, *starts[len(released) :]]
    for values in (released, empty, filled_up, now):
        found = later.page_values(values)
        assert [unit["enabled"] for unit in found] == [unit.get("enabled", True) for unit in sent]
        for unit, asked in zip(found, sent):
            assert {name: unit[name] for name in asked} == asked
            assert unit["leak_meter"] is False
    assert later.page_values([True] * 44) == []
