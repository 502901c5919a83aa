"""Folders of models that flags of a WebUI name."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def flags(webui, monkeypatch):
    def given(**values):
        for name, value in values.items():
            monkeypatch.setattr(webui.shared.cmd_opts, name, value, raising=False)

    return given


def test_lists_of_folders_as_forge_neo_has_them(flags):
    from lib_instantstyle.hosts.folders import lora_folders, model_folders

    usual, loras = model_folders(), lora_folders()
    flags(controlnet_dirs=["/comfy/models/controlnet", "/b"], text_encoder_dirs=["/comfy/clip"])
    flags(lora_dirs=["/comfy/models/loras", "/b"])
    more = [each for each in model_folders() if each not in usual]
    assert more == [
        Path("/comfy/models/controlnet"),
        Path("/comfy/models/ipadapter"),
        Path("/comfy/models/clip_vision"),
        Path("/b"),
        Path("/ipadapter"),
        Path("/clip_vision"),
        Path("/comfy/clip"),
    ]
    assert [each for each in lora_folders() if each not in loras] == [
        Path("/comfy/models/loras"),
        Path("/b"),
    ]
    assert [each for each in model_folders() if each in usual] == usual


@pytest.mark.parametrize("value", [None, [], "", [""]])
def test_flags_without_a_folder_change_nothing(flags, value):
    from lib_instantstyle.hosts.folders import lora_folders, model_folders

    usual = model_folders(), lora_folders()
    flags(controlnet_dirs=value, text_encoder_dirs=value, lora_dirs=value)
    assert (model_folders(), lora_folders()) == usual


def test_one_folder_in_place_of_a_list(flags):
    from lib_instantstyle.hosts.folders import lora_folders

    flags(lora_dirs="/only")
    assert Path("/only") in lora_folders()
