"""Writes into the infotext what the WebUI's text encoders and the extension's side of them say.

Asked for by `{"Text probe": {"args": [true]}}`.
"""

import hashlib
import json

import gradio as gr
import torch
from modules import scripts

KEY = "Text probe"
TEXT = "a cup of coffee"
WORDS = ("", "table", "stars", "night", "cat", "paint", "ink", "blue", "lamp", "sea", "hand", "a b")


class TextProbe(scripts.Script):
    def title(self):
        return KEY

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        return [gr.Checkbox(value=False, visible=False, label="Write")]

    def process_before_every_sampling(self, p, write=False, *args, **kwargs):
        if not write:
            return
        from lib_instantstyle.hosts.live import in_generation

        with in_generation():
            self.write(p)

    def write(self, p):
        from lib_instantstyle import hosts

        found = {"prompt": digest(p.c), "negative": digest(p.uc)}
        encoder = hosts.current(p).text_encoder(p)
        if encoder is not None:
            (vector,) = encoder.vectors([TEXT])
            found |= {"width": encoder.width, "vector": vector.tolist()}
            # More than are read at once; of one and of two words, so of several lengths.
            texts = [f"{a} {b}".strip() for a in ("cup", "coffee", "wood") for b in WORDS]
            many, alone = encoder.vectors(texts), [encoder.vectors([each]) for each in texts]
            found["many"], found["alone"] = many.tolist(), torch.cat(alone).tolist()
            found["own"] = own_vector(p.sd_model, encoder.width)
            if not isinstance(p.sd_model.get_learned_conditioning([TEXT]), dict):
                found["projected"] = projected(p.sd_model.cond_stage_model.wrapped)
        # JSON's commas and quotes would be quoted once more on their way.
        p.extra_generation_params[KEY] = json.dumps(found).encode().hex()


def own_vector(model, width):
    """What the WebUI itself puts into SDXL's vector conditioning."""
    conditioning = model.get_learned_conditioning([TEXT])
    return conditioning["vector"][0, :width].tolist() if isinstance(conditioning, dict) else None


def projected(wrapped):
    """The vector by open_clip's own encode_text, which knows nothing of the WebUI."""
    import open_clip

    with torch.no_grad():
        return wrapped.model.encode_text(open_clip.tokenize([TEXT]))[0].tolist()


def digest(conditioning):
    """One hash of all tensors in it, whatever holds them."""
    found = hashlib.sha256()
    for tensor in tensors(conditioning):
        found.update(tensor.detach().float().cpu().numpy().tobytes())
    return found.hexdigest()


def tensors(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from tensors(value[key])
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors(item)
    elif hasattr(value, "__dict__"):
        yield from tensors(vars(value))
