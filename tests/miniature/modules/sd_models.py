"""Checkpoints: which there are, which is loaded, and how another one takes its place."""

from __future__ import annotations

import json
import re
import sys
import threading
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from modules import (
    devices,
    errors,
    extra_networks,
    hashes,
    lowvram,
    modelloader,
    paths,
    script_callbacks,
    shared,
)

from tests.miniature.networks import load_checkpoint, read_layout

model_dir = "Stable-diffusion"
model_path = str(Path(paths.models_path) / model_dir)

checkpoints_list: dict[str, CheckpointInfo] = {}
checkpoint_aliases: dict[str, CheckpointInfo] = {}
checkpoint_alisases = checkpoint_aliases
checkpoints_loaded: dict = {}


def _relative_name(file: Path) -> str:
    for root in (shared.cmd_opts.ckpt_dir, model_path):
        if root and file.absolute().is_relative_to(Path(root).absolute()):
            return str(file.absolute().relative_to(Path(root).absolute()))
    return file.name


class CheckpointInfo:
    def __init__(self, filename: str) -> None:
        file = Path(filename)
        name = _relative_name(file)
        self.filename = filename
        self.is_safetensors = file.suffix.lower() == ".safetensors"
        self.name = name
        self.name_for_extra = file.stem
        self.model_name = str(Path(name.replace("/", "_").replace("\\", "_")).with_suffix(""))
        self.hash = model_hash(filename)
        self.sha256 = hashes.sha256_from_cache(filename, f"checkpoint/{name}")
        self.metadata: dict = {}
        self.ids: list[str] = []
        self._name_after_hash()

    def _name_after_hash(self) -> None:
        short = self.shorthash = self.sha256[:10] if self.sha256 else None
        self.title = self.name if short is None else f"{self.name} [{short}]"
        stem = self.name_for_extra
        self.short_title = stem if short is None else f"{stem} [{short}]"
        self.ids = [
            self.hash,
            self.model_name,
            self.title,
            self.name,
            stem,
            f"{self.name} [{self.hash}]",
        ]
        if short:
            self.ids += [short, self.sha256, self.title, self.short_title]

    def register(self) -> None:
        checkpoints_list[self.title] = self
        for name in self.ids:
            checkpoint_aliases[name] = self

    def calculate_shorthash(self) -> str | None:
        """Once known, the hash becomes part of the title; the old title stays an alias."""
        value = hashes.sha256(self.filename, f"checkpoint/{self.name}")
        if value is None:
            return None
        if value != self.sha256:
            checkpoints_list.pop(self.title, None)
            self.sha256 = value
            self._name_after_hash()
            self.register()
        return self.shorthash


def model_hash(filename: str) -> str:
    """The old hash, of a small part of the file."""
    import hashlib

    try:
        with Path(filename).open("rb") as file:
            file.seek(0x100000)
            return hashlib.sha256(file.read(0x10000)).hexdigest()[:8]
    except FileNotFoundError:
        return "NOFILE"


def checkpoint_tiles(use_short: bool = False) -> list[str]:
    return [x.short_title if use_short else x.title for x in checkpoints_list.values()]


def list_models() -> None:
    checkpoints_list.clear()
    checkpoint_aliases.clear()
    if Path(shared.cmd_opts.ckpt).exists():
        info = CheckpointInfo(shared.cmd_opts.ckpt)
        info.register()
        shared.opts.data["sd_model_checkpoint"] = info.title
    files = modelloader.load_models(
        model_path,
        command_path=shared.cmd_opts.ckpt_dir,
        ext_filter=[".ckpt", ".safetensors"],
        ext_blacklist=[".vae.ckpt", ".vae.safetensors"],
    )
    for file in files:
        CheckpointInfo(file).register()


def get_closet_checkpoint_match(search_string: str | None) -> CheckpointInfo | None:
    if not search_string:
        return None
    if search_string in checkpoint_aliases:
        return checkpoint_aliases[search_string]
    without_hash = re.sub(r"\s*\[[^]]+]\s*$", "", search_string)
    for text in (search_string, without_hash):
        found = [x for x in checkpoints_list.values() if text in x.title]
        if found:
            return min(found, key=lambda x: len(x.title))
    return None


def select_checkpoint() -> CheckpointInfo:
    wanted = shared.opts.sd_model_checkpoint
    if wanted in checkpoint_aliases:
        return checkpoint_aliases[wanted]
    if not checkpoints_list:
        raise FileNotFoundError(
            f"No checkpoints found. When searching for checkpoints, looked at: {model_path}"
        )
    info = next(iter(checkpoints_list.values()))
    if wanted is not None:
        print(f"Checkpoint {wanted} not found; loading fallback {info.title}", file=sys.stderr)
    return info


def read_metadata_from_safetensors(filename: str) -> dict:
    """The header's text entries; those that are JSON objects as such."""
    with Path(filename).open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    metadata = header.get("__metadata__", {})
    return {k: json.loads(v) if v[:1] == "{" else v for k, v in metadata.items()}


def read_state_dict(checkpoint_file: str, print_global_state: bool = False, map_location=None):
    """The tensors of a checkpoint, from .safetensors or, restricted, from a pickle."""
    if Path(checkpoint_file).suffix.lower() == ".safetensors":
        return safetensors.torch.load_file(checkpoint_file, device=str(map_location or "cpu"))
    state = torch.load(checkpoint_file, map_location=map_location or "cpu")
    return state.get("state_dict", state)


class SkipWritingToConfig:
    """Inside, a loaded checkpoint does not become the setting (refiner, hires checkpoint)."""

    skip = False
    previous = False

    def __enter__(self):
        self.previous = SkipWritingToConfig.skip
        SkipWritingToConfig.skip = True
        return self

    def __exit__(self, *exc) -> None:
        SkipWritingToConfig.skip = self.previous


class SdModelData:
    def __init__(self) -> None:
        self.sd_model: Any = None
        self.loaded_sd_models: list = []
        self.was_loaded_at_least_once = False
        self.lock = threading.RLock()

    def get_sd_model(self) -> Any:
        if self.was_loaded_at_least_once or self.sd_model is not None:
            return self.sd_model
        with self.lock:
            if self.sd_model is None and not self.was_loaded_at_least_once:
                try:
                    load_model()
                except Exception as e:
                    errors.display(e, "loading stable diffusion model", full_traceback=True)
                    print("\nStable diffusion model failed to load", file=sys.stderr)
                    self.sd_model = None
        return self.sd_model

    def set_sd_model(self, v: Any, already_loaded: bool = False) -> None:
        self.sd_model = v
        self.loaded_sd_models = [x for x in self.loaded_sd_models if x is not v]
        if v is not None:
            self.loaded_sd_models.insert(0, v)


model_data = SdModelData()


def get_empty_cond(sd_model) -> torch.Tensor:
    """The conditioning of an empty prompt. Extra networks are called with a bare `p` here."""
    from modules import processing

    extra_networks.activate(processing.StableDiffusionProcessingTxt2Img(), {})
    cond = sd_model.get_learned_conditioning([""])
    return cond["crossattn"] if isinstance(cond, dict) else cond


def send_model_to_cpu(m) -> None:
    if m is not None and m.lowvram:
        lowvram.send_everything_to_cpu()


def send_model_to_device(m) -> None:
    lowvram.apply(m)
    if not m.lowvram:
        m.to(shared.device)


def send_model_to_trash(m) -> None:
    m.to(device="meta")


def _describe(model, info: CheckpointInfo) -> None:
    """The fields that A1111 puts on a model, and who it now is."""
    info.calculate_shorthash()
    if not SkipWritingToConfig.skip:
        shared.opts.data["sd_model_checkpoint"] = info.title
        shared.opts.data["sd_checkpoint_hash"] = info.sha256
    model.sd_model_hash = info.shorthash
    model.sd_model_checkpoint = info.filename
    model.sd_checkpoint_info = info
    model.logvar = None


def load_model(checkpoint_info: CheckpointInfo | None = None, already_loaded_state_dict=None):
    from modules import sd_hijack

    info = checkpoint_info or select_checkpoint()
    if model_data.sd_model is not None:
        send_model_to_trash(model_data.sd_model)
        model_data.sd_model = None
    model = load_checkpoint(info.filename, dtype=devices.dtype)
    if model.is_sdxl:
        model.model.conditioning_key = "crossattn"  # SDXL inpainting is told by a flag of its own
    model.used_config = read_layout(info.filename)[0]
    model.alphas_cumprod_original = model.alphas_cumprod
    model.lowvram = False
    _describe(model, info)
    send_model_to_device(model)
    sd_hijack.model_hijack.hijack(model)
    model.eval()
    model_data.set_sd_model(model)
    model_data.was_loaded_at_least_once = True
    script_callbacks.model_loaded_callback(model)
    with torch.no_grad():
        model.cond_stage_model_empty_prompt = get_empty_cond(model)
    return model


def _already_loaded(info: CheckpointInfo):
    """The model of that file among those kept in memory; the ones over the limit are dropped."""
    found = None
    limit = shared.opts.sd_checkpoints_limit
    for i in reversed(range(len(model_data.loaded_sd_models))):
        model = model_data.loaded_sd_models[i]
        if model.sd_checkpoint_info.filename == info.filename:
            found = model
        elif len(model_data.loaded_sd_models) > limit > 0:
            del model_data.loaded_sd_models[i]
            send_model_to_trash(model)
    return found


def reload_model_weights(sd_model=None, info=None, forced_reload: bool = False):
    """Makes the wanted checkpoint the loaded one.

    A model kept in memory is used again without `on_model_loaded`. Of the same layout, the weights
    go into the same modules, so patches on them live on; of another one, the object is new.
    """
    from modules import sd_hijack, sd_unet

    info = info or select_checkpoint()
    sd_model = sd_model or model_data.sd_model
    if sd_model is not None and not forced_reload and sd_model.sd_model_checkpoint == info.filename:
        return sd_model

    known = _already_loaded(info)
    if known is not None and not forced_reload:
        send_model_to_device(known)
        model_data.set_sd_model(known, already_loaded=True)
        if not SkipWritingToConfig.skip:
            shared.opts.data["sd_model_checkpoint"] = info.title
            shared.opts.data["sd_checkpoint_hash"] = info.sha256
        return known
    room = shared.opts.sd_checkpoints_limit
    if room > 1 and len(model_data.loaded_sd_models) < room:
        model_data.sd_model = None
        return load_model(info)

    if sd_model is not None:
        model_data.loaded_sd_models = [x for x in model_data.loaded_sd_models if x is not sd_model]
        sd_unet.apply_unet("None")
        send_model_to_cpu(sd_model)
        sd_hijack.model_hijack.undo_hijack(sd_model)
    if sd_model is None or read_layout(info.filename)[0] != sd_model.used_config:
        return load_model(info)
    try:
        fresh = load_checkpoint(info.filename, dtype=devices.dtype)
        sd_model.load_state_dict(fresh.state_dict())
        _describe(sd_model, info)
    finally:
        sd_hijack.model_hijack.hijack(sd_model)
        script_callbacks.model_loaded_callback(sd_model)
    model_data.set_sd_model(sd_model)
    sd_unet.apply_unet()
    return sd_model


def unload_model_weights(sd_model=None, info=None):
    send_model_to_cpu(sd_model or shared.sd_model)
    return sd_model


def apply_token_merging(sd_model, token_merging_ratio: float) -> None:
    sd_model.applied_token_merged_ratio = token_merging_ratio


def apply_alpha_schedule_override(sd_model, p=None) -> None:
    sd_model.alphas_cumprod = sd_model.alphas_cumprod_original
