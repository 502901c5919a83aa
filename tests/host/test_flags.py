"""The extension under the WebUI's flags for memory and precision."""

from __future__ import annotations

import pytest
import requests

from tests.host.generations import ROOT, UNIT, style
from tests.miniature.flavour import FORGE, flavour
from tests.miniature.harness import PROBE, SMALL
from tests.miniature.server import serve
from tests.miniature.tiny.linked import FAMILY
from tests.waiting import HANGS

FLAGS = {
    "medvram": {"medvram": True},
    "lowvram": {"lowvram": True},
    "half": {"unet_in_fp16": True}
    if flavour() == FORGE
    else {"precision": "half", "opt_sdp_attention": True},
}


@pytest.mark.slow
@pytest.mark.parametrize("flags", list(FLAGS))
def test_a_style_without_its_content_under_flags(tmp_path, flags):
    """Encoding the content calls a part of the text encoders, which medvram has put aside."""
    extensions = [PROBE, f"sd-webui-instantstyle={ROOT}"]
    with serve(tmp_path, extensions, family=FAMILY, nowebui=True, **FLAGS[flags]) as server:

        def picture(*units, checkpoint="tiny_sdxl", **fields):
            body = {**SMALL, **(style(*units) if units else {}), **fields}
            body["override_settings"] = {"sd_model_checkpoint": f"{checkpoint}.safetensors"}
            answer = requests.post(f"{server.url}/sdapi/v1/txt2img", json=body, timeout=HANGS)
            assert answer.status_code == 200, f"{answer.text}\n{server.log}"
            return answer.json()["images"]

        plain = picture()
        styled = picture(UNIT)
        less = picture({**UNIT, "content": "a cup of coffee"})
        assert len({str(x) for x in (plain, styled, less)}) == 3
        assert picture() == plain
        picture(checkpoint="tiny_sd15", enable_hr=True, denoising_strength=0.5)
        state = requests.get(f"{server.url}/probe/state", timeout=HANGS).json()
    if flavour() == FORGE:
        return  # it sees to precision and memory itself, and tells the probe nothing of them
    # The miniature did what the flags ask for.
    half = flags == "half"
    assert state["dtype"] == ("torch.float16" if half else "torch.float32")
    assert (state["moves"] > 4) == (not half)
    assert state["optimization"] == ("sdp" if half else "InvokeAI")
