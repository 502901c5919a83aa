"""InstantStyle's script: events in, calls out."""

from modules import script_callbacks, scripts

from lib_instantstyle import NAME
from lib_instantstyle.api import routes
from lib_instantstyle.hosts import page, settings
from lib_instantstyle.page import accordion, style_cards, xyz_grid
from lib_instantstyle.run import script_hooks


class InstantStyleScript(scripts.Script):
    """The style of a reference picture, in txt2img and img2img."""

    def title(self):
        return NAME

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        built = accordion.build(self.elem_id, "img2img" if is_img2img else "txt2img")
        self.infotext_fields = built.paste_fields
        self.paste_field_names = built.paste_field_names
        return built.components

    def before_process(self, p, *args):
        script_hooks.before_process(p, args)

    def process(self, p, *args):
        script_hooks.process(p, args)

    def process_batch(self, p, *args, **kwargs):
        script_hooks.process_batch(p, kwargs["batch_number"])

    def process_before_every_sampling(self, p, *args, **kwargs):
        script_hooks.process_before_every_sampling(p)

    def postprocess_image_after_composite(self, p, pp, *args):
        script_hooks.postprocess_image_after_composite(p, pp)


def app_started(demo, app):
    page.keep_files_back(demo)
    routes.register_routes(demo, app)


def before_ui():
    """Register the rest; the WebUI calls this with and without a page, before it asks for it."""
    xyz_grid.register_axes()
    style_cards.register_cards()
    page.register_callback(script_callbacks.on_app_started, app_started, __file__)
    page.register_callback(script_callbacks.on_cfg_denoiser, script_hooks.on_cfg_denoiser, __file__)


# An API without a page has asked for the axes when `before_ui` comes.
xyz_grid.register_axes()
settings.register_settings()
page.register_callback(script_callbacks.on_before_ui, before_ui, __file__)
