"""The miniature offers all that the extension touches of A1111, and nothing of other WebUIs."""

from __future__ import annotations

import importlib
import inspect
import re
from types import ModuleType

import pytest
import torch
from PIL import Image

from tests.contract.table import Table
from tests.contract.tree import VALUE, Tree
from tests.miniature import ROOT
from tests.miniature.companions import LORA
from tests.miniature.signatures import of_object

TABLE = Table()
EXPECTED = {part: TABLE.expected(part, "a1111") for part in ("names", "calls")}
NOT_PLAYED = (
    *("embedder.wrapped.layer_idx", "embedder.wrapped.encode_with_transformer"),  # of SD2
    *("modules.shared.cmd_opts.lora_dir", "modules.shared.cmd_opts.lyco_dir_backcompat"),  # of Lora
)
ELSEWHERE = [name for name in TABLE.content["names"] if name not in EXPECTED["names"]]


class Either:
    """The attributes of whichever object has them: a `p` of txt2img or of img2img."""

    def __init__(self, *objects):
        self.objects = objects

    def __getattr__(self, name):
        for one in self.objects:
            if hasattr(one, name):
                return getattr(one, name)
        raise AttributeError(name)


@pytest.fixture(scope="module")
def objects(session):
    """The objects that the WebUI hands over, by the names that our code gives them."""
    import lib_probe
    from modules import shared

    session.add_extension(LORA)
    session.use("tiny_sdxl.")
    lib_probe.reset()
    session.txt2img()
    params = lib_probe.of("cfg_denoiser")[-1]["args"][0]
    session.img2img(Image.new("RGB", (64, 64)), sampler_name="DDIM", steps=3)
    first, second = (x["p"] for x in lib_probe.of("process_before_every_sampling"))
    other = lib_probe.of("cfg_denoiser")[-1]["args"][0].denoiser.sampler
    embedders = session.sd_model.conditioner.embedders
    embedder = next(x for x in embedders if getattr(x.wrapped, "return_pooled", False))
    tokens = torch.tensor([[embedder.id_start] + [embedder.id_end] * 76])
    return {
        "p": Either(first, second),
        "params": params,
        "denoiser": params.denoiser,
        "sampler": Either(params.denoiser.sampler, other),
        "p.sampler": Either(params.denoiser.sampler, other),
        "embedder": embedder,
        "embedder.encode_with_transformers()": embedder.encode_with_transformers(tokens),
        "modules.shared.OptionInfo()": shared.OptionInfo(),
        "networks": importlib.import_module("networks"),
    }


def look_up(name, objects):
    """The object of a name of the table; AttributeError or ImportError if there is none."""
    root = max((r for r in objects if name == r or name.startswith(f"{r}.")), key=len, default="")
    if root:
        found, rest = objects[root], name[len(root) + 1 :].split(".")
    else:
        parts = name.split(".")
        for n in range(len(parts), 0, -1):
            try:
                found, rest = importlib.import_module(".".join(parts[:n])), parts[n:]
                break
            except ModuleNotFoundError:
                if n == 1:
                    raise
    for part in filter(None, rest):
        found = getattr(found, part)
    return found


def describe(found, expected):
    """In the table's words."""
    if expected == VALUE:
        return VALUE
    if isinstance(found, ModuleType):
        return "module"
    if inspect.isclass(found):
        if expected == "class":
            return "class"
        # By the source: Gradio gives the constructors of its components another signature.
        return Tree(ROOT).fact(f"{found.__module__}.{found.__qualname__}")
    names = of_object(found)
    return f"({', '.join(names[1:] if names[:1] == ['self'] else names)})"


@pytest.mark.parametrize("name", [x for x in EXPECTED["names"] if x not in NOT_PLAYED])
def test_a_name_is_there_as_in_the_real_one(objects, name):
    expected = EXPECTED["names"][name]
    assert describe(look_up(name, objects), expected) == expected


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_only_other_webuis_have_is_absent(objects, name):
    with pytest.raises((AttributeError, ImportError)):
        look_up(name, objects)


@pytest.mark.parametrize("name", [x for x in EXPECTED["calls"] if x.startswith("hook ")])
def test_a_hook_is_called_with_the_same_keywords(webui, probe, name):
    webui.txt2img()
    hook = name.removeprefix("hook ")
    keywords = {tuple(sorted(x["kwargs"])) for x in probe.of(hook)}
    calls = [x for x in EXPECTED["calls"][name] if "*" not in x]
    expected = {tuple(sorted(set(re.findall(r"(\w+)=", call)) - {"p"})) for call in calls}
    assert keywords == expected


def test_ids_routes_and_scripts_of_the_page(webui):
    ids = {getattr(x, "elem_id", None) for x in webui.demo.blocks.values()}
    # The tab of saved styles comes with our own extension, which is not loaded here.
    expected = {name for name in TABLE.expected("elem_ids", "a1111") if "instantstyle" not in name}
    assert expected <= ids
    routes = {route.path for route in webui.app.routes}
    # The Lora extension answers for LoRAs; the miniature's companion of that name has no routes.
    expected = {name for name in TABLE.expected("routes", "a1111") if "loras" not in name}
    assert expected <= routes
    page = webui.get("/").text
    scripts = "".join(
        webui.get(f"/{file}").text for file in re.findall(r'src="(file=[^"]+\.js[^"]*)"', page)
    )
    for name in TABLE.expected("javascript", "a1111"):
        assert re.search(rf"^(async )?function {name}\(", scripts, re.M), name
