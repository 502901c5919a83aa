"""What the style adds inside the UNet, recorded in whichever flavour this environment runs.

    python -m tests.host.forge_mode.added_terms DATA OUT

writes the terms that each cross-attention gets in the first UNet call of a generation, with the
rows of the prompt before those of the negative prompt, whatever order the WebUI has them in.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.host.generations import ROOT, UNIT, style
from tests.host.miniature.cases import CHECKPOINTS
from tests.miniature import harness
from tests.miniature.flavour import CLASSIC, flavour


def first_terms(webui, **fields) -> dict[str, torch.Tensor]:
    """Layer -> added term [rows, tokens, width] of the first UNet call."""
    before: dict[str, torch.Tensor] = {}
    terms: dict[str, torch.Tensor] = {}
    handles = []
    for name, module in webui.unet.named_modules():
        if not name.endswith("attn2"):
            continue

        def see(layer, args, name=name):
            before.setdefault(name, args[0].clone())

        def compare(layer, args, output, name=name):
            terms.setdefault(name, args[0] - before[name])

        # Ours are registered later, so `see` runs before them and `compare` after.
        handles.append(module.to_out[0].register_forward_pre_hook(see))
        handles.append(module.to_out[0].register_forward_hook(compare))
    with webui.record() as recorder:
        webui.txt2img(**fields)
    for handle in handles:
        handle.remove()
    rows = recorder.calls[0].rows
    order = sorted(range(len(rows)), key=rows.__getitem__)
    return {name: term[order].clone() for name, term in terms.items()}


def main(data: str, out: str) -> None:
    webui = harness.boot(data, extension=ROOT)
    if flavour() == CLASSIC:
        webui.set(skip_early_cond=-1)  # its first call would have rows of the prompt only
    found = {}
    unit = {**UNIT, "preset": "original", "negative_weight": 0.5}
    for checkpoint in CHECKPOINTS:
        webui.use(f"{checkpoint}.")
        fields = {"batch_size": 2, "prompt": "a red cat", "negative_prompt": "blurry"}
        for name, term in first_terms(webui, **fields, **style(unit)).items():
            found[f"{checkpoint}.{name}"] = term
    save_file(found, Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
