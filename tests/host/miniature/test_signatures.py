"""Names and signatures of the miniature are those of the real A1111."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.miniature import signatures

pytestmark = pytest.mark.usefixtures("session")
TABLE = json.loads(signatures.TABLE.read_text(encoding="utf8"))
REAL = os.environ.get("INSTANTSTYLE_WEBUI")


@pytest.mark.parametrize("module", TABLE)
def test_signatures(module):
    ours = {}
    for name in TABLE[module]:
        found = signatures.in_miniature(module, name)
        assert found is not None, f"{module}.{name} is missing"
        ours[name] = signatures.of_object(found)
    assert ours == TABLE[module]


def test_the_table_covers_what_extensions_use():
    wanted = {
        "modules.scripts": ["Script.process_before_every_sampling", "Script.elem_id"],
        "modules.script_callbacks": ["on_cfg_denoiser", "on_app_started", "on_before_ui"],
        "modules.processing": ["process_images", "StableDiffusionProcessing.comment"],
        "modules.sd_samplers_common": ["Sampler.launch_sampling"],
        "modules.infotext_utils": ["register_paste_params_button", "connect_paste"],
        "modules.ui_common": ["create_refresh_button"],
        "modules.options": ["Options.add_option"],
    }
    for module, names in wanted.items():
        assert set(names) <= set(TABLE[module]), module


@pytest.mark.skipif(not REAL, reason="INSTANTSTYLE_WEBUI names no A1111 to compare with")
def test_the_table_is_what_the_real_webui_says():
    real = signatures.read(Path(REAL))
    assert {module: real.get(module) for module in TABLE} == TABLE
