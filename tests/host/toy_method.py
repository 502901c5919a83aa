"""A method of three small files and one line, put into a copy of the extension.

    python -m tests.host.toy_method FAMILY DATA

run in that copy asks the miniature for all that is derived from a method, and prints it as JSON.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from tests.host.generations import ROOT, UNIT, style
from tests.miniature import harness

FIELDS = """
from lib_instantstyle.units.field import METHOD, Declared, Field
from lib_instantstyle.units.values import Number, OneOf

DECLARED = Declared(
    "toy",
    "Toy",
    (
        Field(
            "toy_amount", 0.5, Number(-3, 7), "Toy amount", "how much of the toy",
            "what the toy adds to the predicted noise", group=METHOD, row=50,
        ),
        Field(
            "toy_sign", "plus", OneOf(("plus", "minus")), "Toy sign", "of the toy",
            "whether the toy adds or takes", group=METHOD, row=50,
        ),
    ),
    needs_reference=False,
)
"""
ALGORITHM = '''
def shifted(noise, amount):
    """The noise [B, 4, h, w] that the UNet predicts, and `amount` more."""
    return noise + amount
'''
METHOD = """
from contextlib import contextmanager

from lib_instantstyle.methods.base import Method, Part, StatusText
from lib_instantstyle.methods.toy.algorithm import shifted
from lib_instantstyle.units.infotext import INFOTEXT_KEY, unit_to_text


class ToyPart(Part):
    @property
    def is_empty(self):
        return False

    @contextmanager
    def around_sampling(self, p, current):
        (unit,) = self.units
        amount = unit.toy_amount * (1 if unit.toy_sign == "plus" else -1)

        def hook(module, args, output):
            self.replaced += 1
            return shifted(output, amount)

        handle = current.unet.register_forward_hook(hook)
        try:
            yield
        finally:
            handle.remove()


class Toy(Method):
    def describe(self, unit, context):
        return StatusText(f"The toy adds {unit.toy_amount:g}.")

    def check(self, unit, context, findings):
        if unit.toy_amount > 6:
            findings.problem(f"toy_amount is {unit.toy_amount:g}, which breaks the toy.")
        findings.remark("it is a toy.")
        return unit

    def part(self, checked, context):
        ((unit, _),) = checked
        return ToyPart([unit], infotext={INFOTEXT_KEY.format(unit.number): unit_to_text(unit, {})})


METHOD = Toy()
"""
LINE = '    "b_lora",\n'
REGISTERED = '    "toy",\n'
METHODS = Path("lib_instantstyle", "methods")


def copy_to(folder: Path, registered: bool) -> None:
    """The extension with the toy in its place."""
    for name in ("lib_instantstyle", "scripts", "javascript"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("preload.py", "install.py", "metadata.ini", "style.css"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "tests").symlink_to(ROOT / "tests")
    toy = folder / "lib_instantstyle" / "methods" / "toy"
    toy.mkdir()
    for name, text in (("fields", FIELDS), ("algorithm", ALGORITHM), ("method", METHOD)):
        (toy / f"{name}.py").write_text(text, encoding="utf-8")
    listed = toy.parent / "__init__.py"
    text = listed.read_text(encoding="utf-8")
    assert text.count(LINE) == 1
    if registered:
        listed.write_text(text.replace(LINE, LINE + REGISTERED), encoding="utf-8")


def _main(family: str, data: str) -> None:
    webui = harness.boot(data, family=family, page=True)
    webui.use("tiny_sd15.")
    webui.add_extension(Path.cwd())
    toy = {"method": "toy"}
    if REGISTERED in (METHODS / "__init__.py").read_text(encoding="utf-8"):
        toy |= {"toy_amount": 1.5, "toy_sign": "minus"}
    answer = webui.txt2img(expect=None, **style(toy))
    found: dict[str, object] = {"status": answer.status, "detail": answer.body.get("detail")}
    if answer.status == 200:
        found |= _seen(webui, toy, answer)
    print(json.dumps(found))


def _seen(webui, toy, answer) -> dict[str, object]:
    from modules import infotext_utils

    from lib_instantstyle.methods import TABLE
    from lib_instantstyle.page.paste import paster
    from lib_instantstyle.page.states.lines import lines
    from tests import field_table

    def differs(unit):
        return webui.txt2img(**style(unit)).pixels != webui.txt2img().pixels

    values = [getattr(TABLE.unit_type(**toy), name) for name in TABLE.page_fields]
    values = ["" if name == "blocks" else value for name, value in zip(TABLE.page_fields, values)]
    params = infotext_utils.parse_generation_parameters(answer.infotexts[0], [])
    schema = webui.get("/openapi.json").json()["paths"]["/instantstyle/plan"]["post"]
    body = schema["requestBody"]["content"]["application/json"]["schema"]
    controls = webui.script("InstantStyle").controls
    axes = webui.script("X/Y/Z plot").current_axis_options
    return {
        "changes the picture": differs(toy),
        "nothing at amount 0": not differs({**toy, "toy_amount": 0}),
        "no other method acts": not differs({"method": "toy", "toy_amount": 0, **UNIT}),
        "infotext": answer.infotexts[0],
        "pasted": [paster(1, name)(params) for name in ("method", "toy_amount", "toy_sign")],
        "status line": lines(json.dumps({"units": [{"image": [{}]}]}), *values)[0],
        "plan": webui.post("/instantstyle/plan", style(toy)).json(),
        "problem": webui.txt2img(expect=422, **style({**toy, "toy_amount": 6.5})).body["detail"],
        "planned problem": webui.post(
            "/instantstyle/plan", style({**toy, "toy_amount": 6.5})
        ).json()["problems"],
        "out of range": webui.txt2img(expect=422, **style({**toy, "toy_amount": 8})).body["detail"],
        "schema": body["properties"]["units"]["items"]["properties"]["toy_amount"],
        "axes": [option.label for option in axes if "toy" in option.label],
        "sliders": [
            [control.label, control.minimum, control.maximum]
            for control in controls if str(control.elem_id).endswith("unit_1_toy_amount")
        ],
        "table": [row for row in field_table.table().splitlines() if "toy" in row],
    }  # fmt: skip


if __name__ == "__main__":
    _main(*sys.argv[1:])
