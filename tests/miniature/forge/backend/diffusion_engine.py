"""What Forge loads a checkpoint into: an object without A1111's `model` and `conditioner`."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from backend import memory_management
from modules import shared
from torch import nn

from tests.miniature.forge_family.patchers import forge_objects_of
from tests.miniature.networks import load_checkpoint


class TextEngine:
    """One text encoder below prompt parsing: no module, and nothing wrapped in it.

    Its embeddings are loaded in half precision, and brought to single when it first encodes.
    """

    chunk_length = 75

    def __init__(self, embedder) -> None:
        self.return_pooled = embedder.return_pooled
        self.text_projection = embedder.return_pooled
        self.id_start, self.id_end = embedder.id_start, embedder.id_end
        self.id_pad = embedder.id_pad
        self.tokenize = embedder.tokenize
        self._embedder = embedder
        tower = embedder.model if embedder.return_pooled else embedder.transformer
        self._embeddings = [x.half() for x in tower.modules() if isinstance(x, nn.Embedding)]
        self.text_encoder = SimpleNamespace(transformer=tower)

    def convert(self) -> None:
        for embedding in self._embeddings:
            embedding.to(dtype=torch.float32)

    def encode_with_transformers(self, tokens):
        self.convert()
        return self._embedder.encode_with_transformers(tokens)

    def __call__(self, texts):
        self.convert()
        return self._embedder(texts)


class ForgeDiffusionEngine:
    """SD1.5; SDXL is a subclass. `forge_objects` holds the parts, the rest is for old callers."""

    is_sd2 = is_sd3 = is_sdxl = False
    is_sd1 = True
    first_stage_model = cond_stage_model = None
    use_distilled_cfg_scale = False

    def __init__(self, model) -> None:
        self._model = model  # the networks, which forge_objects share
        self.is_inpaint = model.model.diffusion_model.in_channels == 9
        self.alphas_cumprod = model.alphas_cumprod
        self.parameterization = model.parameterization
        # Forge's autoencoder scales its latents itself.
        model.first_stage_model.process_in = lambda latent: latent * model.scale_factor
        model.first_stage_model.process_out = lambda latent: latent / model.scale_factor
        self.forge_objects = forge_objects_of(model)
        self.forge_objects_original = self.forge_objects.shallow_copy()
        self.forge_objects_after_applying_lora = self.forge_objects.shallow_copy()
        self.extra_generation_params: dict = {}
        self.comments: list[str] = []
        self._add_text_engines(model)

    def _add_text_engines(self, model) -> None:
        self.text_processing_engine = TextEngine(model.cond_stage_model)
        self._text_engines = [self.text_processing_engine]

    @torch.inference_mode()
    def get_learned_conditioning(self, prompt):
        memory_management.load_model_gpu(self.forge_objects.clip.patcher)
        for engine in self._text_engines:
            engine.convert()
        return self._model.get_learned_conditioning(prompt)

    @torch.inference_mode()
    def encode_first_stage(self, x):
        memory_management.load_model_gpu(self.forge_objects.vae.patcher)
        return self._model.encode_first_stage(x)

    @torch.inference_mode()
    def decode_first_stage(self, x):
        memory_management.load_model_gpu(self.forge_objects.vae.patcher)
        return self._model.decode_first_stage(x)

    def get_first_stage_encoding(self, x):
        return x


class StableDiffusionXL(ForgeDiffusionEngine):
    is_sdxl = True
    is_sd1 = False

    def _add_text_engines(self, model) -> None:
        clip, open_clip = model.conditioner.embedders[:2]
        self.text_processing_engine_l = TextEngine(clip)
        self.text_processing_engine_g = TextEngine(open_clip)
        self._text_engines = [self.text_processing_engine_l, self.text_processing_engine_g]


def forge_loader(filename: str) -> ForgeDiffusionEngine:
    model = load_checkpoint(filename)
    if shared.cmd_opts.unet_in_fp16:  # what Forge itself chooses on a graphics card
        model.model.diffusion_model.half()
    return (StableDiffusionXL if model.is_sdxl else ForgeDiffusionEngine)(model)
