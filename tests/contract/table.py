"""`table.json`: how it is read, written, and compared with a WebUI's source.

hosts       the WebUIs, with the version and the commit that the facts were taken from
objects     what our code calls an object -> its class, or a file of the WebUI that uses its parts
elsewhere   names that belong to no WebUI itself -> whose they are
names       a name of `modules.*` or of such an object -> parameters, "class", "value", "module"
calls       how the WebUI calls what we hand it: hooks of scripts, callbacks, wrapped methods
javascript, elem_ids, routes    what our scripts and the tests of the page and the API rely on

A fact that all WebUIs share is a plain text; otherwise it is an object with one entry for each
WebUI that has the name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.contract import ours
from tests.contract.tree import MODULE, VALUE, CannotTell, Tree

FILE = Path(__file__).with_name("table.json")
PARTS = ("names", "calls", "javascript", "elem_ids", "routes")
HOOKS = (
    r"modules\.scripts\.Script\.((?:before_|post)?process\w*|setup|before_hr|after_\w+|on_mask\w+)"
)
WRAPPED = {  # methods of the WebUI that we wrap, and where it calls them
    "init": ("modules/processing.py", "init", "p"),
    "sample": ("modules/processing.py", "sample", "p"),
    "launch_sampling": ("modules/sd_samplers_*.py", "launch_sampling", "self"),
}


class Table:
    """The expectations."""

    def __init__(self, content: dict[str, Any] | None = None) -> None:
        self.content = content or json.loads(FILE.read_text(encoding="utf8"))
        self.hosts: dict[str, dict[str, str]] = self.content["hosts"]
        self.objects: dict[str, Any] = self.content["objects"]
        self.elsewhere: dict[str, str] = self.content["elsewhere"]

    @property
    def roots(self) -> list[str]:
        """Names of local variables that hold an object of the WebUI."""
        return [name for name in self.objects if "." not in name]

    def expected(self, part: str, host: str) -> dict[str, Any]:
        """The facts of one part for one WebUI."""
        found = {}
        for name, fact in self.content[part].items():
            value = fact.get(host) if isinstance(fact, dict) else fact
            if value is not None:
                found[name] = value
        return found

    def places(self, name: str, host: str) -> list[str]:
        place = self.objects[name]
        place = place.get(host, []) if isinstance(place, dict) else place
        return [place] if isinstance(place, str) else place

    def covers(self, name: str) -> bool:
        """Whether a name of our code is listed, or lies below a value that the table ends at."""
        name = name.removesuffix("()")
        if name in self.content["names"] or name in self.elsewhere or name in self.roots:
            return True
        owner = name.rpartition(".")[0]
        if not owner or owner in self.objects:
            return False
        fact = self.content["names"].get(owner)
        if fact is None:
            return self.covers(owner)
        kinds = fact.values() if isinstance(fact, dict) else [fact]
        return not any(kind == MODULE or kind.startswith("class") for kind in kinds)

    # -- facts of a source tree --------------------------------------------------------------

    def fact(self, tree: Tree, host: str, name: str) -> str | None:
        """What a WebUI's source says about a name."""
        owner = max((o for o in self.objects if name.startswith(f"{o}.")), key=len, default=None)
        if owner is None:
            return VALUE if name in self.roots else tree.fact(name)
        rest = name[len(owner) + 1 :]
        for place in self.places(owner, host):
            look = {"flags": tree.flag, "options": tree.option}.get(place)
            found = look(rest) if look else tree.attribute(place, rest)
            if found is not None:
                return found
        return None

    def facts(self, tree: Tree, host: str, part: str, names: list[str]) -> Iterator[tuple]:
        """(name, fact) of one part; a fact that cannot be told is a CannotTell."""
        if part == "javascript":
            known = tree.javascript()
            yield from ((name, VALUE if name in known else None) for name in names)
        elif part in ("elem_ids", "routes"):
            patterns = tree.patterns("elem_id") if part == "elem_ids" else tree.routes()
            for name in names:
                yield name, VALUE if any(x.fullmatch(name) for x in patterns) else None
        else:
            for name in names:
                try:
                    one = self._call(tree, name) if part == "calls" else self.fact(tree, host, name)
                except CannotTell as error:
                    one = error
                yield name, one

    def _call(self, tree: Tree, name: str) -> list[str] | None:
        kind, _, name = name.rpartition(" ")
        if kind == "callback":
            found = tree.callback_calls(name)
        elif kind == "hook":  # the script's runner is called with keywords, and calls the script
            found = tree.calls("modules/processing.py", name, "scripts")
            found += tree.calls("modules/scripts.py", name, "script")
        else:
            found = tree.calls(*WRAPPED[name])
        return found or None

    def compare(self, tree: Tree, host: str, *parts: str) -> Iterator[str]:
        """One line for each difference between the table and a source tree."""
        for part in parts or PARTS:
            names = list(self.content[part])
            expected = self.expected(part, host)
            for name, fact in self.facts(tree, host, part, names):
                if isinstance(fact, CannotTell):
                    yield f"{part}: {name}: not checked, {fact} is not in this tree"
                elif fact != expected.get(name):
                    here, there = fact or "absent", expected.get(name, "absent")
                    yield f"{part}: {name}: {here} here, {there} in the table"

    # -- our own names -----------------------------------------------------------------------

    def ours(self) -> dict[str, dict[str, str]]:
        """Everything that our code and tests touch: part -> name -> where."""
        names = ours.names(self.roots)
        hooks = {m[1] for name in names if (m := re.fullmatch(HOOKS, name))}
        events = {
            m[1] for n in names if (m := re.fullmatch(r"modules\.script_callbacks\.on_(\w+)", n))
        }
        wrapped = {n.rpartition(".")[2] for n in names} & WRAPPED.keys()
        calls = [f"hook {x}" for x in hooks] + [f"callback {x}" for x in events]
        calls += [f"method {x}" for x in wrapped]
        ids = ours.texts(
            r"[\"'#]((?:txt2img|img2img|setting|tab|html_info|html_log)_\w+)",
            "javascript",
            "tests/browser",
        )
        routes = ours.texts(
            r"[\"'}](/(?:sdapi/v1|internal)/[\w/-]+[\w-])",
            "javascript",
            "tests/webui",
            "tests/browser",
        )
        return {
            "names": names,
            "calls": dict.fromkeys(calls, "scripts"),
            "javascript": dict.fromkeys(ours.javascript(), "javascript"),
            "elem_ids": dict.fromkeys(ids, "tests/browser"),
            "routes": dict.fromkeys(routes, "tests/webui"),
        }

    def missing(self) -> dict[str, dict[str, str]]:
        """What our code touches and the table does not list."""
        return {
            part: {
                name: where
                for name, where in names.items()
                if not (self.covers(name) if part == "names" else name in self.content[part])
            }
            for part, names in self.ours().items()
        }

    def renewed(self, trees: dict[str, Tree]) -> Table:
        """The table with the names that our code touches now, and what the trees say of them."""
        new = Table({**self.content, **{part: {} for part in PARTS}})
        for part, names in self.ours().items():
            for name in sorted(names):
                if part == "names" and (name in self.elsewhere or new.covers(name)):
                    continue
                row = {}
                for host in self.hosts:
                    fact = self.expected(part, host).get(name)
                    if host in trees:
                        ((_, found),) = self.facts(trees[host], host, part, [name])
                        fact = fact if isinstance(found, CannotTell) else found
                    if fact is not None:
                        row[host] = fact
                same = len(row) == len(self.hosts) and len({str(x) for x in row.values()}) == 1
                new.content[part][name] = next(iter(row.values())) if same else row
        return new

    def write(self) -> None:
        """One line for each name; one for each WebUI where they differ."""
        parts = []
        for part, entries in self.content.items():
            lines = []
            for name, fact in entries.items():
                text = json.dumps(fact)
                if isinstance(fact, dict) and len(text) > 140:
                    inner = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in fact.items()]
                    text = "{\n   " + ",\n   ".join(inner) + "}"
                lines.append(f"  {json.dumps(name)}: {text}")
            parts.append(f' "{part}": {{\n' + ",\n".join(lines) + "}")
        FILE.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf8")
