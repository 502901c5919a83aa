"""Tells which models Forge, reForge or Forge Classic count among those on the device.

GET /memory-probe answers with the names of their classes; POST has all of them moved off first.
"""

from modules import script_callbacks

try:
    from backend import memory_management
except ImportError:
    from ldm_patched.modules import model_management as memory_management


def loaded():
    return [type(entry.model.model).__name__ for entry in memory_management.current_loaded_models]


def unload():
    memory_management.unload_all_models()
    return loaded()


def begin(_, app):
    app.add_api_route("/memory-probe", loaded, methods=["GET"])
    app.add_api_route("/memory-probe", unload, methods=["POST"])


script_callbacks.on_app_started(begin)
