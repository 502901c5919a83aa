"""The table of fields in docs/fields.md, made from what the fields say of themselves.

python -m tests.field_table     writes it; `make docs` does the same
"""

from __future__ import annotations

from pathlib import Path

from lib_instantstyle.methods import TABLE
from lib_instantstyle.units.field import Field

DOCUMENT = Path(__file__).parents[1] / "docs" / "fields.md"
BEGIN, END = "<!-- fields: made by `make docs` -->", "<!-- end of fields -->"


def table() -> str:
    """The rows of all fields, in the order of their places."""
    rows = map(_row, TABLE.fields.values())
    return "\n".join(["| field | values | default | meaning |", "|---|---|---|---|", *rows])


def with_table(text: str) -> str:
    """The document `text` with the table as it is now."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def _row(field: Field) -> str:
    values = field.values or field.parse.allowed
    cells = (f"`{field.name}`", values, _default(field.default), field.meaning)
    return "| " + " | ".join(cell.replace("|", "<code>&#124;</code>") for cell in cells) + " |"


def _default(value: object) -> str:
    if value is None:
        return "null"
    if value == ():
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"{value:g}"
    return f'"{value}"'


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
