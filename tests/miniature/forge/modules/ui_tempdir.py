"""Pictures of the gallery under Gradio 4: files that were saved are shown where they are."""

from __future__ import annotations

import os
from pathlib import Path

import gradio as gr
import gradio.processing_utils
from gradio import FileData
from gradio.data_classes import GradioModel, GradioRootModel
from gradio.utils import get_upload_folder, is_in_or_equal
from gradio_client import utils as client_utils
from modules import shared
from modules.ui_tempdir_files import (
    check_tmp_file,
    register_tmp_file,
    save_anew,
)


def saved_file(item) -> str:
    """The file behind a picture of the gallery as an event receives it: (picture, caption)."""
    return item[0].filename.rsplit("?", 1)[0]


def save_pil_to_file(pil_image, cache_dir=None, format="png") -> str:
    saved = getattr(pil_image, "already_saved_as", None)
    if saved and Path(saved).is_file():
        with_time = f"{saved}?{Path(saved).stat().st_mtime}"
        register_tmp_file(shared.demo, saved)
        register_tmp_file(shared.demo, with_time)
        return with_time
    return save_anew(pil_image, shared.opts.temp_dir or cache_dir)


async def async_move_files_to_cache(
    data, block, postprocess=False, check_in_upload_folder=False, keep_in_cache=False
):
    """Gradio's own copies every file into its folder; a saved picture stays where it is."""

    async def move(d: dict) -> dict:
        payload = FileData(**d)
        payload.path = payload.path.rsplit("?", 1)[0]
        if not check_tmp_file(shared.demo, payload.path):
            path = os.path.abspath(payload.path)  # noqa: PTH100  as Gradio compares it
            if check_in_upload_folder and not is_in_or_equal(path, get_upload_folder()):
                raise ValueError(f"File {path} is not in the upload folder and cannot be accessed.")
            payload.path = await block.async_move_resource_to_block_cache(payload.path)
            if keep_in_cache:
                block.keep_in_cache.add(payload.path)
        payload.url = f"/file={payload.path}"
        return payload.model_dump()

    if isinstance(data, (GradioRootModel, GradioModel)):
        data = data.model_dump()
    return await client_utils.async_traverse(data, move, client_utils.is_file_obj)


def install_ui_tempdir_override() -> None:
    gr.processing_utils.save_pil_to_cache = save_pil_to_file
    gr.processing_utils.async_move_files_to_cache = async_move_files_to_cache
