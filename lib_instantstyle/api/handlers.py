"""The handlers of the POST routes; those of the GET routes are in listings.py.

Each returns plain data and raises InstantStyleError, which the routes turn into HTTP 422.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from lib_instantstyle import NAME
from lib_instantstyle.api.listings import Listing, style_listing
from lib_instantstyle.api.request import requested_generation, whole_in
from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.hosts.page import forbidden, refuse_strangers
from lib_instantstyle.limits import WORDS
from lib_instantstyle.methods import TABLE
from lib_instantstyle.session import SESSION

_NO_SAVING = forbidden("no style is saved by the API", "with --api-auth")


def plan(given: Mapping[str, object]) -> Listing:
    """A dry run of the units in the request `given`; see run/dry_run.py."""
    from lib_instantstyle.run.dry_run import dry_run, in_words
    from lib_instantstyle.styles.tags import of_request, units_of

    request = requested_generation(given)
    units = TABLE.given_units(_arguments(given))
    problems, tagged = [], []
    try:
        tagged = units_of(of_request(given), len(units) + 1, TABLE)
    except InstantStyleError as error:
        problems.append(str(error))
    run = dry_run(units, request, tagged)
    run.problems[:0] = problems
    return {**asdict(run), "text": in_words(run)}


def embed(given: Mapping[str, object]) -> Listing:
    """Save the references of the unit in `given` as the style `name`; see run/style_saving.py."""
    from lib_instantstyle.run.style_saving import save_style

    refuse_strangers(_NO_SAVING, by_api=True)
    name = given.get("name")
    if not isinstance(name, str):
        raise InstantStyleError(f"name is {shorten(name)}; the name of the new style is allowed.")
    unit = TABLE.parse_unit({field: value for field, value in given.items() if field != "name"})
    return style_listing(save_style(unit, name))


def content(given: Mapping[str, object]) -> Listing:
    """What the reference of the unit in `given` shows; see content/report.py."""
    from lib_instantstyle.content.report import describe_content
    from lib_instantstyle.hosts.context import Context
    from lib_instantstyle.references.unit_pictures import references_of

    count = whole_in(given, "count", 8, WORDS)
    unit = TABLE.parse_unit({name: value for name, value in given.items() if name != "count"})
    picture = references_of(unit, Context(None))[0]
    return asdict(describe_content(picture, unit, count))


def report() -> Listing:
    """What was measured in the last generation that asked for a report; see run/effect.py."""
    from lib_instantstyle.run.effect import LastReport

    last = SESSION.of(LastReport)
    return {
        "blocks": [asdict(effect) for effect in last.effects],
        "singular_values": [asdict(spectrum) for spectrum in last.spectra],
    }


def _arguments(given: Mapping[str, object]) -> Sequence[object]:
    """The arguments of our script in `given`: of `units`, `args` or `alwayson_scripts`."""
    if "units" in given:
        return [{"units": given["units"]}]
    arguments = given.get("args")
    scripts = given.get("alwayson_scripts")
    if isinstance(scripts, Mapping):
        for name, script in scripts.items():
            if str(name).lower() == NAME.lower() and isinstance(script, Mapping):
                arguments = script.get("args")
    if arguments is None and isinstance(given.get("prompt"), str):
        return []  # a request for pictures; tags in the prompt may make units
    if not isinstance(arguments, list):
        raise InstantStyleError(
            "the request has no units; units, args or alwayson_scripts, as a generation has them, "
            "are allowed."
        )
    return arguments
