"""An always-on script that writes down every hook it is called at, and can misbehave on request."""

import sys

import gradio as gr
import lib_probe
from fastapi.exceptions import HTTPException
from modules import lowvram, script_callbacks, scripts, sd_hijack, shared
from modules.infotext_utils import PasteField
from modules.ui_components import InputAccordion

HOOKS = (
    "setup",
    "before_process",
    "process",
    "before_process_batch",
    "after_extra_networks_activate",
    "process_batch",
    "process_before_every_sampling",
    "on_mask_blend",
    "before_hr",
    "post_sample",
    "postprocess_batch",
    "postprocess_batch_list",
    "postprocess_image",
    "postprocess_maskoverlay",
    "postprocess_image_after_composite",
    "postprocess",
)


class ProbeError(HTTPException):
    """An error that both the API and the page can show."""

    def __init__(self, detail):
        super().__init__(status_code=422, detail=detail)

    def __str__(self):
        return self.detail


ERRORS = {
    "ValueError": lambda: ValueError("probe <says> no"),
    "ProbeError": lambda: ProbeError("probe <says> no"),
    "gr.Error": lambda: gr.Error("probe <says> no"),
}


def fail(*args, **kwargs):
    raise ERRORS[lib_probe.plan["error"]]()


def hook(name):
    def run(self, p, *args, **kwargs):
        lib_probe.events.append(
            {
                "hook": name,
                "args": args[-2:],
                "first": [type(x).__name__ for x in args[:-2]],
                "kwargs": kwargs,
                "p": p,
                "is_hr_pass": p.is_hr_pass,
                "sampler": p.sampler,
                "tab": self.tabname,
            }
        )
        plan = lib_probe.plan
        if plan.get("raise_in") == name:
            fail()
        if plan.get("replace_at") == name:
            for path in plan["replace"]:
                owner = p.sampler if path == "launch_sampling" else p
                setattr(owner, path, fail)
        if name in plan:
            plan[name](p, *args, **kwargs)

    run.__name__ = name
    return run


class ProbeScript(scripts.Script):
    def title(self):
        return "Probe"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        lib_probe.events.append({"hook": "ui", "tab": self.tabname})
        with InputAccordion(False, label="Probe", elem_id=self.elem_id("enable")) as enable:
            note = gr.Textbox(
                label="Note", value="default", elem_id=self.elem_id("note"), tooltip="a note"
            )
        self.infotext_fields = [
            PasteField(enable, lambda d: "Probe note" in d),
            PasteField(note, "Probe note"),
        ]
        self.paste_field_names = ["Probe note"]
        return [enable, note]

    for _name in HOOKS:
        locals()[_name] = hook(_name)


class ProbeInAccordions(scripts.Script):
    """One that names a section and wants no group."""

    section = "accordions"
    create_group = False

    def title(self):
        return "Probe (Accordions) 2"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        with InputAccordion(False, label="Probe 2", elem_id=self.elem_id("enable")) as enable:
            pass
        return [enable]


def on_ui_settings():
    section = ("probe", "Probe")
    shared.opts.add_option(
        "probe_option", shared.OptionInfo("text", "An option of the probe", section=section)
    )


def seen(name):
    return lambda *args, **kwargs: lib_probe.events.append({"hook": name, "args": args})


def on_app_started(demo, app):
    lib_probe.events.append({"hook": "app_started", "demo": demo})
    app.add_api_route("/probe/state", probe_state, methods=["GET"])
    app.add_api_route("/probe/events", probe_events, methods=["GET"])
    app.add_api_route("/probe/plan", probe_plan, methods=["POST"])


def probe_events():
    """The hooks since the last plan, as text: another WebUI can be asked the same over HTTP."""
    return [
        {
            "hook": x["hook"],
            "first": x.get("first", []),
            "kwargs": sorted(x.get("kwargs", {})),
            "hires": bool(x.get("is_hr_pass")),
            "args": repr(x.get("args")) if "kwargs" in x else len(x.get("args", ())),
        }
        for x in lib_probe.events
    ]


def probe_plan(plan: dict):
    """Forgets what was seen; what to do from now on."""
    lib_probe.reset(**plan)


def probe_state():
    return {
        "version": 1,
        "path": sys.path,
        "moves": len(getattr(lowvram, "moves", ())),
        "dtype": str(shared.sd_model.dtype),
        "optimization": sd_hijack.model_hijack.optimization_method,
    }


script_callbacks.on_ui_settings(on_ui_settings)
script_callbacks.on_app_started(on_app_started)
script_callbacks.on_before_ui(seen("before_ui"))
script_callbacks.on_script_unloaded(seen("script_unloaded"))
script_callbacks.on_before_reload(seen("before_reload"))
script_callbacks.on_model_loaded(seen("model_loaded"))
script_callbacks.on_cfg_denoiser(seen("cfg_denoiser"))
script_callbacks.on_cfg_denoised(seen("cfg_denoised"))
script_callbacks.on_cfg_after_cfg(seen("cfg_after_cfg"))
script_callbacks.on_infotext_pasted(seen("infotext_pasted"))
