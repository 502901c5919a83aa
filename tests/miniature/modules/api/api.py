"""The routes. Names, arguments and errors are those of A1111's /sdapi/v1."""

from __future__ import annotations

import time
from contextlib import closing
from secrets import compare_digest
from typing import Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.exceptions import HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from modules import (
    extensions,
    images,
    infotext_utils,
    progress,
    script_callbacks,
    scripts,
    sd_models,
    sd_samplers,
    sd_schedulers,
    shared,
    ui,
)
from modules.api import arguments, models
from modules.api.arguments import script_name_to_index
from modules.api.images import (  # noqa: F401
    decode_base64_to_image,
    encode_pil_to_base64,
    verify_url,
)
from modules.api.middleware import api_middleware
from modules.processing import (
    StableDiffusionProcessingImg2Img,
    StableDiffusionProcessingTxt2Img,
    process_images,
)
from modules.shared import opts

_HTTP_BASIC = Depends(HTTPBasic())


def validate_sampler_name(name: str) -> str:
    if name not in sd_samplers.all_samplers_map:
        raise HTTPException(status_code=400, detail="Sampler not found")
    return name


class Api:
    def __init__(self, app: FastAPI, queue_lock) -> None:
        if shared.cmd_opts.api_auth:
            pairs = (x.split(":") for x in shared.cmd_opts.api_auth.split(","))
            self.credentials = dict(pairs)
        self.router = APIRouter()
        self.app = app
        self.queue_lock = queue_lock
        api_middleware(app)
        self._add_routes()

        txt2img, img2img = scripts.scripts_txt2img, scripts.scripts_img2img
        if not txt2img.scripts or not img2img.scripts:
            ui.create_ui()
        self.default_script_arg_txt2img = arguments.init_default_script_args(txt2img)
        self.default_script_arg_img2img = arguments.init_default_script_args(img2img)

    def _add_routes(self) -> None:
        def get(path: str, endpoint, model=None) -> None:
            self.add_api_route(f"/sdapi/v1/{path}", endpoint, methods=["GET"], response_model=model)

        def post(path: str, endpoint, model=None) -> None:
            self.add_api_route(
                f"/sdapi/v1/{path}", endpoint, methods=["POST"], response_model=model
            )

        post("txt2img", self.text2imgapi, models.TextToImageResponse)
        post("img2img", self.img2imgapi, models.ImageToImageResponse)
        post("png-info", self.pnginfoapi, models.PNGInfoResponse)
        get("progress", self.progressapi, models.ProgressResponse)
        post("interrupt", self.interruptapi)
        post("skip", self.skip)
        get("options", self.get_config, models.OptionsModel)
        post("options", self.set_config)
        get("cmd-flags", self.get_cmd_flags, models.FlagsModel)
        get("samplers", self.get_samplers, list[models.SamplerItem])
        get("schedulers", self.get_schedulers, list[models.SchedulerItem])
        get("upscalers", self.get_upscalers, list[models.UpscalerItem])
        get("latent-upscale-modes", lambda: [{"name": x} for x in shared.latent_upscale_modes])
        get("sd-models", self.get_sd_models, list[models.SDModelItem])
        get("prompt-styles", lambda: [x._asdict() for x in shared.prompt_styles.styles.values()])
        post("refresh-checkpoints", self.refresh_checkpoints)
        get("memory", self.get_memory, models.MemoryResponse)
        post("unload-checkpoint", self.unloadapi)
        post("reload-checkpoint", self.reloadapi)
        get("scripts", self.get_scripts_list, models.ScriptsList)
        get("script-info", self.get_script_info, list[models.ScriptInfo])
        get("extensions", self.get_extensions_list, list[models.ExtensionItem])
        if shared.cmd_opts.api_server_stop:
            post("server-stop", self.stop_webui)

    def add_api_route(self, path: str, endpoint, **kwargs):
        if shared.cmd_opts.api_auth:
            kwargs["dependencies"] = [Depends(self.auth)]
        return self.app.add_api_route(path, endpoint, **kwargs)

    def auth(self, credentials: HTTPBasicCredentials = _HTTP_BASIC) -> bool:
        known = self.credentials.get(credentials.username)
        if known is not None and compare_digest(credentials.password, known):
            return True
        raise HTTPException(
            status_code=401,
            detail="Incorrect username or password",
            headers={"WWW-Authenticate": "Basic"},
        )

    # -- pictures ----------------------------------------------------------------------------

    def get_selectable_script(self, script_name, script_runner):
        if script_name is None or script_name == "":
            return None, None
        index = script_name_to_index(script_name, script_runner.selectable_scripts)
        return script_runner.selectable_scripts[index], index

    def _generate(self, request, tab: str, runner, defaults: list, processing_class, prepare):
        """Both kinds of request: arguments, then the queue, then the picture."""
        task_id = request.force_task_id or progress.create_task_id(tab)
        from_infotext: dict = {}
        arguments.apply_infotext(
            request, tab, script_runner=runner, mentioned_script_args=from_infotext
        )
        selectable, index = self.get_selectable_script(request.script_name, runner)
        sampler, scheduler = sd_samplers.get_sampler_and_scheduler(
            request.sampler_name or request.sampler_index, request.scheduler
        )
        populate = request.copy(
            update={
                "sampler_name": validate_sampler_name(sampler),
                "do_not_save_samples": not request.save_images,
                "do_not_save_grid": not request.save_images,
            }
        )
        populate.sampler_index = None
        if not populate.scheduler and scheduler != "Automatic":
            populate.scheduler = scheduler
        args = vars(populate)
        for name in (
            "script_name",
            "script_args",
            "alwayson_scripts",
            "infotext",
            "include_init_images",
        ):
            args.pop(name, None)
        script_args = arguments.init_script_args(
            request, defaults, selectable, index, runner, input_script_args=from_infotext
        )
        send_images = args.pop("send_images", True)
        args.pop("save_images", None)
        prepare(args)
        progress.add_task_to_queue(task_id)
        with self.queue_lock, closing(processing_class(sd_model=shared.sd_model, **args)) as p:
            p.is_api = True
            p.scripts = runner
            p.outpath_grids = getattr(opts, f"outdir_{tab}_grids")
            p.outpath_samples = getattr(opts, f"outdir_{tab}_samples")
            try:
                shared.state.begin(job=f"scripts_{tab}")
                progress.start_task(task_id)
                if selectable is not None:
                    p.script_args = script_args
                    processed = runner.run(p, *p.script_args)
                else:
                    p.script_args = tuple(script_args)
                    processed = process_images(p)
                progress.finish_task(task_id)
            finally:
                shared.state.end()
                shared.total_tqdm.clear()
        pictures = [encode_pil_to_base64(x) for x in processed.images] if send_images else []
        return pictures, processed

    def text2imgapi(self, txt2imgreq: models.StableDiffusionTxt2ImgProcessingAPI):
        pictures, processed = self._generate(
            txt2imgreq,
            "txt2img",
            scripts.scripts_txt2img,
            self.default_script_arg_txt2img,
            StableDiffusionProcessingTxt2Img,
            lambda args: None,
        )
        return models.TextToImageResponse(
            images=pictures, parameters=vars(txt2imgreq), info=processed.js()
        )

    def img2imgapi(self, img2imgreq: models.StableDiffusionImg2ImgProcessingAPI):
        if img2imgreq.init_images is None:
            raise HTTPException(status_code=404, detail="Init image not found")

        def prepare(args: dict) -> None:
            mask = img2imgreq.mask
            args["mask"] = decode_base64_to_image(mask) if mask else mask
            args["init_images"] = [decode_base64_to_image(x) for x in img2imgreq.init_images]

        pictures, processed = self._generate(
            img2imgreq,
            "img2img",
            scripts.scripts_img2img,
            self.default_script_arg_img2img,
            StableDiffusionProcessingImg2Img,
            prepare,
        )
        if not img2imgreq.include_init_images:
            img2imgreq.init_images = None
            img2imgreq.mask = None
        return models.ImageToImageResponse(
            images=pictures, parameters=vars(img2imgreq), info=processed.js()
        )

    def pnginfoapi(self, req: models.PNGInfoRequest):
        image = decode_base64_to_image(req.image.strip())
        geninfo, items = images.read_info_from_image(image)
        params = infotext_utils.parse_generation_parameters(geninfo or "")
        script_callbacks.infotext_pasted_callback(geninfo or "", params)
        return models.PNGInfoResponse(info=geninfo or "", items=items, parameters=params)

    # -- the running job ---------------------------------------------------------------------

    def progressapi(self, req: models.ProgressRequest = Depends()):  # noqa: B008
        state = shared.state
        if state.job_count == 0:
            return models.ProgressResponse(
                progress=0, eta_relative=0, state=state.dict(), textinfo=state.textinfo
            )
        done = 0.01
        if state.job_count > 0:
            done += state.job_no / state.job_count
        if state.sampling_steps > 0:
            done += 1 / state.job_count * state.sampling_step / state.sampling_steps
        elapsed = time.time() - state.time_start
        state.set_current_image()
        image = None
        if state.current_image and not req.skip_current_image:
            image = encode_pil_to_base64(state.current_image)
        return models.ProgressResponse(
            progress=min(done, 1),
            eta_relative=elapsed / done - elapsed,
            state=state.dict(),
            current_image=image,
            textinfo=state.textinfo,
        )

    def interruptapi(self):
        shared.state.interrupt()
        return {}

    def skip(self):
        shared.state.skip()

    # -- settings and lists ------------------------------------------------------------------

    def get_config(self):
        return dict(shared.opts.data)

    def set_config(self, req: dict[str, Any]):
        name = req.get("sd_model_checkpoint")
        if name is not None and name not in sd_models.checkpoint_aliases:
            raise RuntimeError(f"model {name!r} not found")
        for key, value in req.items():
            shared.opts.set(key, value, is_api=True)
        shared.opts.save(shared.config_filename)

    def get_cmd_flags(self):
        return vars(shared.cmd_opts)

    def get_samplers(self):
        return [
            {"name": x.name, "aliases": x.aliases, "options": x.options}
            for x in sd_samplers.all_samplers
        ]

    def get_schedulers(self):
        names = ("name", "label", "aliases", "default_rho", "need_inner_model")
        return [{k: getattr(x, k) for k in names} for x in sd_schedulers.schedulers]

    def get_upscalers(self):
        return [
            {
                "name": x.name,
                "model_name": None,
                "model_path": x.data_path,
                "model_url": None,
                "scale": x.scale,
            }
            for x in shared.sd_upscalers
        ]

    def get_sd_models(self):
        return [
            {
                "title": x.title,
                "model_name": x.model_name,
                "hash": x.shorthash,
                "sha256": x.sha256,
                "filename": x.filename,
                "config": None,
            }
            for x in sd_models.checkpoints_list.values()
        ]

    def refresh_checkpoints(self):
        with self.queue_lock:
            shared.refresh_checkpoints()

    def get_memory(self):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return models.MemoryResponse(ram={"used": used}, cuda={"error": "unavailable"})

    def unloadapi(self):
        sd_models.unload_model_weights()
        return {}

    def reloadapi(self):
        sd_models.send_model_to_device(shared.sd_model)
        return {}

    def get_scripts_list(self):
        def names(runner) -> list[str]:
            return [x.name for x in runner.scripts if x.name is not None]

        return models.ScriptsList(
            txt2img=names(scripts.scripts_txt2img), img2img=names(scripts.scripts_img2img)
        )

    def get_script_info(self):
        both = [*scripts.scripts_txt2img.scripts, *scripts.scripts_img2img.scripts]
        return [x.api_info for x in both if x.api_info is not None]

    def get_extensions_list(self):
        extensions.list_extensions()
        return [vars(x) for x in extensions.extensions if x.remote is not None]

    def stop_webui(request):  # `self` has this name in A1111
        shared.state.server_command = "stop"
        return Response("Stopping.")

    def launch(self, server_name: str | None, port: int, root_path: str = "") -> None:
        self.app.include_router(self.router)
        uvicorn.run(
            self.app,
            host=server_name or "127.0.0.1",
            port=port,
            root_path=root_path,
            timeout_keep_alive=shared.cmd_opts.timeout_keep_alive,
            log_level="warning",
        )
