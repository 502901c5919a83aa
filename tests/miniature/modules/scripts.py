"""Finds and loads script files, the way that decides what an extension may do at import time."""

from __future__ import annotations

import inspect
import sys
from collections import namedtuple
from dataclasses import dataclass, field
from pathlib import Path

from modules import (
    errors,
    extensions,
    paths,
    script_callbacks,
    script_loading,
    scripts_postprocessing,
    timer,
    util,
)
from modules.script_base import (  # noqa: F401
    AlwaysVisible,
    MaskBlendArgs,
    OnComponent,
    PostprocessBatchListArgs,
    PostprocessImageArgs,
    PostProcessMaskOverlayArgs,
    PostSampleArgs,
    Script,
    ScriptBuiltinUI,
)
from modules.script_runner import ScriptRunner, wrap_call  # noqa: F401

topological_sort = util.topological_sort
current_basedir = paths.script_path

ScriptFile = namedtuple("ScriptFile", ["basedir", "filename", "path"])
ScriptClassData = namedtuple("ScriptClassData", ["script_class", "path", "basedir", "module"])

scripts_data: list[ScriptClassData] = []
postprocessing_scripts_data: list[ScriptClassData] = []


def basedir() -> str:
    """The folder of the extension while its script is being imported, later the WebUI's."""
    return current_basedir


@dataclass
class ScriptWithDependencies:
    script_canonical_name: str
    file: ScriptFile
    requires: list[str] = field(default_factory=list)
    load_before: list[str] = field(default_factory=list)
    load_after: list[str] = field(default_factory=list)


def _root_scripts(scriptdirname: str, extension: str) -> dict[str, ScriptWithDependencies]:
    folder = Path(paths.script_path) / scriptdirname
    found = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.is_file() and file.suffix.lower() == extension and file.name != "__init__.py":
            entry = ScriptFile(paths.script_path, file.name, str(file))
            found[file.name] = ScriptWithDependencies(file.name, entry)
    return found


def list_scripts(scriptdirname, extension, *, include_extensions=True) -> list[ScriptFile]:
    """Root scripts, then each extension's, moved around by Before and After of metadata.ini."""
    scripts = _root_scripts(scriptdirname, extension)
    of_extension: dict[str, list[ScriptWithDependencies]] = {}
    for ext in extensions.active() if include_extensions else ():
        of_extension[ext.canonical_name] = []
        for file in ext.list_files(scriptdirname, extension):
            prefix = "builtin/" if ext.is_builtin else ""
            name = f"{prefix}{ext.canonical_name}/{file.filename}"
            section = f"{scriptdirname}/{file.filename}"
            requirements = [
                ext.metadata.get_script_requirements(x, section, scriptdirname)
                for x in ("Requires", "Before", "After")
            ]
            scripts[name] = ScriptWithDependencies(name, file, *requirements)
            of_extension[ext.canonical_name].append(scripts[name])

    for name, script in scripts.items():
        for before in script.load_before:
            others = [scripts[before]] if before in scripts else []
            for other in others + of_extension.get(before, []):
                other.load_after.append(name)
        for after in list(script.load_after):
            if after not in scripts and after in of_extension:
                script.load_after.remove(after)
                script.load_after += [x.script_canonical_name for x in of_extension[after]]
    for name, script in scripts.items():
        for wanted in script.requires:
            if wanted not in scripts and wanted not in of_extension:
                errors.report(f'Script "{name}" requires "{wanted}" to be loaded, but it is not.')
    order = util.topological_sort({k: v.load_after for k, v in scripts.items()})
    return [scripts[x].file for x in order]


def list_files_with_name(filename: str) -> list[str]:
    folders = [paths.script_path] + [x.path for x in extensions.active()]
    return [str(x) for x in (Path(f) / filename for f in folders) if x.is_file()]


def _register(module, scriptfile: ScriptFile) -> None:
    """Every Script subclass in the module's namespace counts, imported ones too."""
    for item in vars(module).values():
        if not inspect.isclass(item):
            continue
        data = ScriptClassData(item, scriptfile.path, scriptfile.basedir, module)
        if issubclass(item, Script):
            scripts_data.append(data)
        elif issubclass(item, scripts_postprocessing.ScriptPostprocessing):
            postprocessing_scripts_data.append(data)


def load_scripts() -> None:
    global current_basedir, scripts_txt2img, scripts_img2img, scripts_postproc
    scripts_data.clear()
    postprocessing_scripts_data.clear()
    script_callbacks.clear_callbacks()

    files = list_scripts("scripts", ".py")
    files += list_scripts("modules/processing_scripts", ".py", include_extensions=False)
    syspath = sys.path
    for scriptfile in files:
        try:
            if scriptfile.basedir != paths.script_path:
                sys.path = [scriptfile.basedir, *sys.path]
            current_basedir = scriptfile.basedir
            _register(script_loading.load_module(scriptfile.path), scriptfile)
        except Exception:
            errors.report(f"Error loading script: {scriptfile.filename}", exc_info=True)
        finally:
            sys.path = syspath
            current_basedir = paths.script_path
            timer.startup_timer.record(scriptfile.filename)

    scripts_txt2img = ScriptRunner()
    scripts_img2img = ScriptRunner()
    scripts_postproc = scripts_postprocessing.ScriptPostprocessingRunner()


scripts_txt2img: ScriptRunner | None = None
scripts_img2img: ScriptRunner | None = None
scripts_postproc: scripts_postprocessing.ScriptPostprocessingRunner | None = None
scripts_current: ScriptRunner | None = None


def reload_script_body_only() -> None:
    cache: dict = {}
    scripts_txt2img.reload_sources(cache)
    scripts_img2img.reload_sources(cache)


reload_scripts = load_scripts
