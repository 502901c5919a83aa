"""Units: what a user asked for, checked.

A `Table` holds the fields that there are. API, page, infotext, plots and documentation read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.stages import REQUEST
from lib_instantstyle.units.field import Declared, DropZone, Field
from lib_instantstyle.units.page_weights import without_unused_weights
from lib_instantstyle.units.shared_fields import shared_fields

RELEASED = (45,)  # the last place of a field in each version that was released
_QUOTED = 60  # characters of a picture's text that a sentence repeats
NO_REFERENCE = "Unit {} is on but has no reference: drop a picture or untick InstantStyle."


@dataclass(frozen=True)
class Unit:
    """One use of a reference: an attribute for each field of its table, checked, of its final type.

    A table makes the class that has them.
    """

    table: ClassVar[Table]
    number: int = field(default=1, compare=False, kw_only=True)  # its place, from 1; no field
    tag: str = field(default="", compare=False, kw_only=True)  # the prompt's tag; no field

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    @property
    def title(self) -> str:
        """How sentences call it."""
        return self.tag or f"unit {self.number}"

    @property
    def is_untouched(self) -> bool:
        """True where nothing of a unit was asked for: it is on, and that is all."""
        return self == type(self)()

    @property
    def acts(self) -> bool:
        """False where the unit cannot change a picture: off, weight 0 or an empty range."""
        return not self.why_idle

    @property
    def uses_method(self) -> bool:
        """False where the palette acts alone."""
        return any(getattr(self, name) for name in self.table.strengths if name != "palette")

    @property
    def why_idle(self) -> tuple[str, ...]:
        """Why the unit cannot change a picture, a sentence each; none if it can."""
        reasons = []
        if not self.enabled:
            reasons.append("it is off.")
        if not any(getattr(self, name) for name in self.table.strengths):
            reasons.append("it changes nothing, because its weight is 0.")
        if self.image and not any(reference.weight for reference in self.image):
            reasons.append("it changes nothing, because the weight of each reference is 0.")
        if self.empty_range:
            reasons.append(self.empty_range)
        return tuple(reasons)

    @property
    def empty_range(self) -> str:
        """A sentence if the unit has no time to act in, else ""."""
        if self.start < self.end:
            return ""
        return (
            f"it changes nothing, because start ({self.start:g}) is not before end ({self.end:g})."
        )

    @property
    def declared(self) -> Declared:
        """What its method says of itself."""
        return self.table.methods[self.method]

    def changed(self, **values: Any) -> Unit:
        """A copy with other values, of their final types."""
        return replace(self, **values)

    def differs(self, name: str) -> bool:
        """Whether the field `name` has another value than its default."""
        return bool(getattr(self, name) != self.table.fields[name].default)


class Table:
    """The methods that there are, and the fields of a unit, in the order of their places.

    fields: by name. page_fields, pictures: their names in the order of the page's values. Pictures
    come last, behind those of all units: the WebUI prints the arguments of a failed request, and
    a picture's text would bury the rest. unwritten: see Field. unit_type: makes units of keywords.
    """

    def __init__(self, methods: Sequence[Declared]) -> None:
        """methods: the first is the usual one."""
        self.methods: Mapping[str, Declared] = {method.name: method for method in methods}
        own = [field for method in methods for field in method.fields]
        found = [*shared_fields([*self.methods]), *own]
        found.sort(key=lambda each: each.place or 10**6)
        self.fields: Mapping[str, Field] = {each.name: each for each in found}
        if len(self.fields) != len(found) or len(self.methods) != len(methods):
            raise ValueError("a method or a field is declared twice")
        places = [each.place for each in found if each.place]
        if len({*places}) != len(places):
            raise ValueError("two fields have one place in the API's positional form")
        self.page_fields = tuple(name for name, each in self.fields.items() if not each.is_picture)
        pictures = [each for each in found if isinstance(each.control, DropZone)]
        pictures.sort(key=lambda each: each.control.place)  # type: ignore[union-attr]
        self.pictures = tuple(each.name for each in pictures)
        self._layouts = [(self.page_fields, self.pictures)]
        for last in reversed(RELEASED):
            older = [name for name, each in self.fields.items() if 0 < each.place <= last]
            both = (self.page_fields, self.pictures)
            first, last_ones = (tuple(name for name in of if name in older) for of in both)
            self._layouts.append((first, last_ones))
        self.strengths = tuple(name for name, each in self.fields.items() if each.is_strength)
        self.unwritten = {n: e.unwritten for n, e in self.fields.items() if e.unwritten is not None}
        self.unit_type: type[Unit] = make_dataclass(
            "Unit",
            [(name, Any, field(default=each.default)) for name, each in self.fields.items()],
            bases=(Unit,),
            namespace={"table": self, "__doc__": Unit.__doc__},
            frozen=True,
        )

    @property
    def usual_method(self) -> str:
        """The method of a unit that names none."""
        return next(iter(self.methods))

    def matters(self, method: str) -> frozenset[str]:
        """The fields that mean something to `method` and not to every method."""
        declared = self.methods[method]
        return declared.uses | {each.name for each in declared.fields}

    @property
    def of_some_methods(self) -> frozenset[str]:
        """The fields that do not mean something to every method."""
        return frozenset().union(*map(self.matters, self.methods))

    def parse_unit(self, given: Mapping[str, object], number: int = 1) -> Unit:
        """Check unit `number`, given as an object; a field that is absent or null gets its default.

        Raises InstantStyleError: "unit 1: weight is 9; a number from -2 to 5 is allowed."
        """
        label = f"unit {number}"
        unknown = [key for key in given if key not in self.fields]
        if unknown:
            raise InstantStyleError(
                f"{label}: the field {shorten(unknown[0])} is unknown; allowed are "
                f"{', '.join(self.fields)}."
            )
        values: dict[str, Any] = {}
        for key, value in given.items():
            word, switch = self.fields[key].instead
            if value is None or (word and value == word):
                values |= {} if value is None else {switch: True}
                continue
            try:
                values[key] = self.fields[key].parse(value)
            except InstantStyleError as error:
                problem = str(error)
                if self.fields[key].is_picture and len(str(value)) > _QUOTED:
                    problem = f"{key}: {problem}."  # base64 text tells nobody anything
                elif not problem.endswith("."):  # block weights speak for themselves
                    problem = f"{key} is {shorten(value)}; {problem}."
                raise InstantStyleError(f"{label}: {problem}") from None
        return self.unit_type(**values, number=number)

    def parse_arguments(self, arguments: Sequence[object]) -> list[Unit]:
        """The enabled units in a script's arguments, checked; see `given_units`."""
        if not (given := self.given_units(arguments)):
            return []
        with REQUEST:
            units = (self.parse_unit(unit, i) for i, unit in enumerate(given, start=1))
            return [unit for unit in units if unit.enabled]

    def given_units(self, arguments: Sequence[object]) -> Sequence[Mapping[str, object]]:
        """The units in a script's arguments, in any form that the API or the page sends.

        - objects in slot 0 (or from slot 1 on after a bool): each object is a unit, or holds
          `units`; other slots are the WebUI's defaults and are ignored;
        - the page's values (see `page_values`);
        - nothing, or a first item of null, false or "": off, an empty list.
        """
        first = arguments[0] if arguments else None
        if first is None or first is False or first == "":
            return []
        objects = [item for item in arguments if isinstance(item, Mapping)]
        if isinstance(first, Mapping) or (
            first is True and len(arguments) > 1 and isinstance(arguments[1], Mapping)
        ):
            given: list[Mapping[str, object]] = [unit for item in objects for unit in _units(item)]
        elif first is True and (page := self.page_values(arguments[1:])):
            given = [*page]
        else:
            raise InstantStyleError(
                f"args begins with {shorten(first)}; an object for each unit, true or false "
                'followed by objects, or one {"units": [...]} is allowed.'
            )
        if len(given) > limits.UNITS:
            raise InstantStyleError(
                f"args has {len(given)} units; up to {limits.UNITS} are allowed."
            )
        return given

    def is_of_page(self, arguments: Sequence[object]) -> bool:
        """Whether `arguments` are the page's values and not a client's objects."""
        first, second = [*arguments, None, None][:2]
        return first is True and not isinstance(second, Mapping)

    def page_values(self, values: Sequence[object]) -> list[dict[str, object]]:
        """The page's units in the values that follow its switch; none if the count is not its own.

        page_fields of the first unit, of the second, and so on; then pictures in the same order. A
        client of an earlier version sends fewer; the WebUI adds the last values of its own page.
        """
        found = [
            [{**self.unwritten, **unit} for unit in _page_units(values, count, *layout)]
            for layout in self._layouts
            for count in self._page_counts(values, *layout)
        ]
        # Where two versions have the count, the values tell; where one is wrong, the switches.
        for is_sound in (self._fits, lambda unit: isinstance(unit["enabled"], bool)):
            for units in found:
                if all(map(is_sound, units)):
                    return units
        return found[0] if found else []

    def _fits(self, unit: Mapping[str, object]) -> bool:
        """Whether each of the page's values, pictures apart, is one that its field may have."""
        try:
            for name in unit.keys() - {*self.pictures}:
                value = unit[name]
                if value is None and self.fields[name].default is not None:
                    return False
                if value is not None:
                    self.fields[name].parse(value)
        except InstantStyleError:
            return False
        return True

    def _page_counts(
        self, values: Sequence[object], fields: Sequence[str], pictures: Sequence[str]
    ) -> Iterator[int]:
        """How many units of a page with these fields and pictures `values` may be."""
        width = len(fields) + len(pictures)
        most, more = divmod(len(values), width)
        if not more and most:
            yield most
        if len(fields) < len(self.page_fields):
            starts = self._starts(len(values))
            for count in range(min(most if more else most - 1, limits.UNITS), 0, -1):
                rest = slice(count * width, None)
                if any(x and x != start for x, start in zip(values[rest], starts[rest])):
                    break
                yield count

    def _starts(self, length: int) -> Sequence[object]:
        """The `length` values of a page as it starts; nothing in pictures and behind all units."""
        count = length // (len(self.page_fields) + len(self.pictures))
        fields = count * [self.fields[name].default for name in self.page_fields]
        return [*fields, *[""] * (length - len(fields))]


def _page_units(
    values: Sequence[object], count: int, fields: Sequence[str], pictures: Sequence[str]
) -> list[dict[str, object]]:
    behind = values[count * len(fields) :]
    return [
        without_unused_weights(
            {
                **dict(zip(fields, values[i * len(fields) :])),
                **dict(zip(pictures, behind[i * len(pictures) :])),
            }
        )
        for i in range(count)
    ]


def _units(item: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
    if "units" not in item:
        return [item]
    units = item["units"]
    if item.keys() != {"units"} or not isinstance(units, Sequence) or isinstance(units, str):
        raise InstantStyleError('units is not a list of objects; allowed is {"units": [{...}]}.')
    for i, unit in enumerate(units):
        if not isinstance(unit, Mapping):
            raise InstantStyleError(f"unit {i + 1} is {shorten(unit)}; an object is allowed.")
    return units
