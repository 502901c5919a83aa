"""Settings: what can be set, what is set, and who may set it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from modules import errors
from modules.shared_cmd_options import cmd_opts


class OptionInfo:
    """One setting. The type of its default chooses the widget where `component` is not given."""

    def __init__(
        self,
        default=None,
        label="",
        component=None,
        component_args=None,
        onchange=None,
        section=None,
        refresh=None,
        comment_before="",
        comment_after="",
        infotext=None,
        restrict_api=False,
        category_id=None,
    ):
        self.default = default
        self.label = label
        self.component = component
        self.component_args = component_args
        self.onchange = onchange
        self.section = section
        self.category_id = category_id
        self.refresh = refresh
        self.do_not_save = False
        self.comment_before = comment_before
        self.comment_after = comment_after
        self.infotext = infotext
        self.restrict_api = restrict_api

    def link(self, label: str, url: str) -> OptionInfo:
        self.comment_before += f"[<a href='{url}' target='_blank'>{label}</a>]"
        return self

    def js(self, label: str, js_func: str) -> OptionInfo:
        self.comment_before += f"[<a onclick='{js_func}(); return false'>{label}</a>]"
        return self

    def info(self, info: str) -> OptionInfo:
        self.comment_after += f"<span class='info'>({info})</span>"
        return self

    def html(self, html: str) -> OptionInfo:
        self.comment_after += html
        return self

    def needs_restart(self) -> OptionInfo:
        self.comment_after += " <span class='info'>(requires restart)</span>"
        return self

    def needs_reload_ui(self) -> OptionInfo:
        self.comment_after += " <span class='info'>(requires Reload UI)</span>"
        return self


class OptionHTML(OptionInfo):
    def __init__(self, text: str):
        super().__init__(
            str(text).strip(),
            label="",
            component=lambda **kwargs: gr.HTML(elem_classes="settings-info", **kwargs),
        )
        self.do_not_save = True


def options_section(section_identifier: tuple, options_dict: dict[str, OptionInfo]) -> dict:
    for info in options_dict.values():
        if len(section_identifier) == 3:
            info.category_id = section_identifier[2]
        info.section = section_identifier[:2]
    return options_dict


options_builtin_fields = {"data_labels", "data", "restricted_opts", "typemap"}


def _frozen(flag: str | None) -> list[str]:
    return [x.strip() for x in (flag or "").split(",") if x.strip()]


class Options:
    """`opts.name` reads a set value or its default; an unknown name is an AttributeError."""

    typemap = {int: float}

    def __init__(self, data_labels: dict[str, OptionInfo], restricted_opts: set[str]):
        self.data_labels = data_labels
        self.data = {k: v.default for k, v in data_labels.items() if not v.do_not_save}
        self.restricted_opts = restricted_opts

    def __setattr__(self, key: str, value: Any) -> None:
        if key in options_builtin_fields:
            return super().__setattr__(key, value)
        if key not in self.data and key not in self.data_labels:
            return super().__setattr__(key, value)

        assert not cmd_opts.freeze_settings, "changing settings is disabled"
        info = self.data_labels.get(key)
        if info is not None:
            if info.do_not_save:
                return None
            args = info.component_args
            if isinstance(args, dict) and args.get("visible", True) is False:
                raise RuntimeError(f"not possible to set '{key}' because it is restricted")
            assert info.section is None or info.section[0] not in _frozen(
                cmd_opts.freeze_settings_in_sections
            ), f"not possible to set '{key}' because its section is frozen"
        assert key not in _frozen(cmd_opts.freeze_specific_settings), (
            f"not possible to set '{key}' because this setting is frozen"
        )
        if cmd_opts.hide_ui_dir_config and key in self.restricted_opts:
            raise RuntimeError(
                f"not possible to set '{key}' because it is restricted with --hide_ui_dir_config"
            )
        self.data[key] = value
        return None

    def __getattr__(self, item: str) -> Any:
        if item in options_builtin_fields:
            return super().__getattribute__(item)
        if item in self.data:
            return self.data[item]
        if item in self.data_labels:
            return self.data_labels[item].default
        return super().__getattribute__(item)

    def set(self, key: str, value: Any, is_api=False, run_callbacks=True) -> bool:
        """True if the setting changed. A failing onchange puts the old value back."""
        old = self.data.get(key)
        if old == value:
            return False
        option = self.data_labels[key]  # an unknown key is a KeyError, as in A1111
        if option.do_not_save or (is_api and option.restrict_api):
            return False
        try:
            setattr(self, key, value)
        except RuntimeError:
            return False
        if run_callbacks and option.onchange is not None:
            try:
                option.onchange()
            except Exception as e:
                errors.display(e, f"changing setting {key} to {value}")
                setattr(self, key, old)
                return False
        return True

    def get_default(self, key: str) -> Any:
        info = self.data_labels.get(key)
        return None if info is None else info.default

    def save(self, filename: str) -> None:
        assert not cmd_opts.freeze_settings, "saving settings is disabled"
        text = json.dumps(self.data, indent=4, ensure_ascii=False)
        Path(filename).write_text(text, encoding="utf8")

    def same_type(self, x: Any, y: Any) -> bool:
        if x is None or y is None:
            return True
        return self.typemap.get(type(x), type(x)) == self.typemap.get(type(y), type(y))

    def load(self, filename: str) -> None:
        """Replaces `data` by the file: what was never saved is then not in `data` at all."""
        try:
            self.data = json.loads(Path(filename).read_text(encoding="utf8"))
        except FileNotFoundError:
            self.data = {}
        for key, value in self.data.items():
            info = self.data_labels.get(key)
            if info is not None and not self.same_type(info.default, value):
                print(f"Warning: bad setting value: {key}: {value}", file=sys.stderr)

    def onchange(self, key: str, func: Callable, call: bool = True) -> None:
        self.data_labels[key].onchange = func
        if call:
            func()

    def dumpjson(self) -> str:
        labels = self.data_labels
        values = {k: self.data.get(k, v.default) for k, v in labels.items()}
        values["_comments_before"] = {k: v.comment_before for k, v in labels.items()}
        values["_comments_after"] = {k: v.comment_after for k, v in labels.items()}
        values["_categories"] = [["Defaults", "Other"]]
        return json.dumps(values)

    def add_option(self, key: str, info: OptionInfo) -> None:
        self.data_labels[key] = info
        if key not in self.data and not info.do_not_save:
            self.data[key] = info.default

    def reorder(self) -> None:
        """All settings of a section together; sections in the order of their categories."""
        order = {name: i for i, name in enumerate(categories.mapping)}
        by_section: dict[tuple, str | None] = {}
        for item in self.data_labels.values():
            by_section.setdefault(item.section, item.category_id)
            item.category_id = by_section[item.section]
        self.data_labels = dict(
            sorted(
                self.data_labels.items(),
                key=lambda x: (order.get(x[1].category_id, len(order)), x[1].section[1]),
            )
        )

    def cast_value(self, key: str, value: Any) -> Any:
        """Text from an infotext as the type of the setting."""
        default = self.data_labels[key].default
        if default is None:
            default = getattr(self, key, None)
        if value is None or default is None:
            return None
        if isinstance(default, bool) and value == "False":
            return False
        return type(default)(value)


@dataclass
class OptionsCategory:
    id: str
    label: str


class OptionsCategories:
    def __init__(self) -> None:
        self.mapping: dict[str, OptionsCategory] = {}

    def register_category(self, category_id: str, label: str) -> None:
        self.mapping.setdefault(category_id, OptionsCategory(category_id, label))


categories = OptionsCategories()
