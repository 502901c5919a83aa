"""The list of extensions: those in the data folder, and those given with `--extension`."""

from __future__ import annotations

import configparser
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from modules import errors, shared
from modules.paths_internal import extensions_builtin_dir, extensions_dir
from modules.script_loading import split_name

extensions: list[Extension] = []
extension_paths: dict[str, Extension] = {}
loaded_extensions: dict[str, Extension] = {}


def active() -> list[Extension]:
    off = shared.opts.disable_all_extensions
    if shared.cmd_opts.disable_all_extensions or off == "all":
        return []
    if shared.cmd_opts.disable_extra_extensions or off == "extra":
        return [x for x in extensions if x.enabled and x.is_builtin]
    return [x for x in extensions if x.enabled]


@dataclasses.dataclass
class CallbackOrderInfo:
    name: str
    before: list[str]
    after: list[str]


class ExtensionMetadata:
    """metadata.ini. Section names are case-sensitive; `Name` has no effect, as in v1.10.1."""

    filename = "metadata.ini"

    def __init__(self, path: str, canonical_name: str) -> None:
        self.config = configparser.ConfigParser()
        try:
            self.config.read(Path(path) / self.filename)
        except Exception:
            errors.report(
                f"Error reading {self.filename} for extension {canonical_name}.", exc_info=True
            )
        self.canonical_name = canonical_name.lower().strip()
        self.requires: list[str] | None = None

    def get_script_requirements(
        self, field: str, section: str, extra_section: str | None = None
    ) -> list[str]:
        text = self.config.get(section, field, fallback="")
        if extra_section:
            text += ", " + self.config.get(extra_section, field, fallback="")
        found = []
        for wanted in self.parse_list(text.lower()):
            loaded = (x for x in wanted.split("|") if x in loaded_extensions)
            found.append(next(loaded, wanted))
        return found

    def parse_list(self, text: str) -> list[str]:
        return [x for x in re.split(r"[,\s]+", text.strip()) if x]

    def list_callback_order_instructions(self) -> Iterator[CallbackOrderInfo]:
        for section in self.config.sections():
            if not section.startswith("callbacks/"):
                continue
            name = section.removeprefix("callbacks/")
            if not name.startswith(self.canonical_name):
                errors.report(
                    f"Callback order section for extension {self.canonical_name}"
                    f" is referencing the wrong extension: {section}"
                )
                continue
            yield CallbackOrderInfo(
                name,
                self.parse_list(self.config.get(section, "Before", fallback="")),
                self.parse_list(self.config.get(section, "After", fallback="")),
            )


class Extension:
    def __init__(self, name, path, enabled=True, is_builtin=False, metadata=None) -> None:
        self.name = name
        self.path = path
        self.enabled = enabled
        self.is_builtin = is_builtin
        self.status = ""
        self.remote = None
        self.branch = None
        self.commit_hash = ""
        self.commit_date = None
        self.version = ""
        self.metadata = metadata or ExtensionMetadata(path, name.lower())
        self.canonical_name = self.metadata.canonical_name

    def read_info_from_repo(self) -> None:
        """The miniature does not look into git."""

    def list_files(self, subdir: str, extension: str) -> list:
        from modules import scripts

        folder = Path(self.path) / subdir
        if not folder.is_dir():
            return []
        return [
            scripts.ScriptFile(self.path, x.name, str(x))
            for x in sorted(folder.iterdir())
            if x.suffix.lower() == extension and x.is_file()
        ]


def _candidates() -> Iterator[tuple[str, str, bool]]:
    """(name, folder, built-in) of everything that may be an extension."""
    for root, is_builtin in ((extensions_builtin_dir, True), (extensions_dir, False)):
        if Path(root).is_dir():
            for folder in sorted(Path(root).iterdir()):
                if folder.is_dir():
                    yield folder.name, str(folder), is_builtin
    for spec in shared.cmd_opts.extension:
        yield *split_name(spec), False


def list_extensions() -> None:
    extensions.clear()
    extension_paths.clear()
    loaded_extensions.clear()

    for name, path, is_builtin in _candidates():
        metadata = ExtensionMetadata(path, name)
        if metadata.canonical_name in loaded_extensions:
            errors.report(f'Duplicate canonical name "{name}" found in extensions')
            continue
        enabled = name not in shared.opts.disabled_extensions
        extension = Extension(name, path, enabled, is_builtin, metadata)
        extensions.append(extension)
        extension_paths[path] = extension
        loaded_extensions[name] = extension  # by folder name, though looked up in lower case

    for extension in extensions:
        requires = extension.metadata.get_script_requirements("Requires", "Extension")
        extension.metadata.requires = requires
        for wanted in requires if extension.enabled else ():
            other = loaded_extensions.get(wanted)
            if other is None:
                errors.report(
                    f'Extension "{extension.name}" requires "{wanted}" which is not installed.'
                )
            elif not other.enabled:
                errors.report(
                    f'Extension "{extension.name}" requires "{other.name}" which is disabled.'
                )


def find_extension(filename: str) -> Extension | None:
    for folder in Path(filename).resolve().parents:
        if str(folder) in extension_paths:
            return extension_paths[str(folder)]
    return None
