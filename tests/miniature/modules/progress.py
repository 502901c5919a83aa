"""What the page asks every half second while a job runs."""

from __future__ import annotations

import base64
import io
import random
import string
import time
from collections import OrderedDict
from typing import List, Optional  # noqa: UP035

import gradio as gr
from modules import shared
from pydantic import BaseModel, Field

current_task: str | None = None
pending_tasks: OrderedDict[str, float] = OrderedDict()
finished_tasks: list[str] = []
recorded_results: list[tuple] = []
recorded_results_limit = 2


def start_task(id_task) -> None:
    global current_task
    current_task = id_task
    pending_tasks.pop(id_task, None)


def finish_task(id_task) -> None:
    global current_task
    if current_task == id_task:
        current_task = None
    finished_tasks.append(id_task)
    del finished_tasks[:-16]


def create_task_id(task_type: str) -> str:
    letters = "".join(random.choices(string.ascii_uppercase + string.digits, k=7))
    return f"task({task_type}-{letters})"


def record_results(id_task, res) -> None:
    recorded_results.append((id_task, res))
    del recorded_results[:-recorded_results_limit]


def add_task_to_queue(id_job) -> None:
    pending_tasks[id_job] = time.time()


class PendingTasksResponse(BaseModel):
    size: int = Field(title="Pending task size")
    tasks: List[str] = Field(title="Pending task ids")  # noqa: UP006


class ProgressRequest(BaseModel):
    id_task: Optional[str] = None  # noqa: UP045
    id_live_preview: int = -1
    live_preview: bool = True


class ProgressResponse(BaseModel):
    active: bool
    queued: bool
    completed: bool
    progress: Optional[float] = None  # noqa: UP045
    eta: Optional[float] = None  # noqa: UP045
    live_preview: Optional[str] = None  # noqa: UP045
    id_live_preview: Optional[int] = None  # noqa: UP045
    textinfo: Optional[str] = None  # noqa: UP045


def setup_progress_api(app):
    app.add_api_route("/internal/pending-tasks", get_pending_tasks, methods=["GET"])
    return app.add_api_route(
        "/internal/progress", progressapi, methods=["POST"], response_model=ProgressResponse
    )


def get_pending_tasks():
    tasks = list(pending_tasks)
    return PendingTasksResponse(size=len(tasks), tasks=tasks)


def _live_preview(known_id: int) -> tuple[str | None, int]:
    shared.state.set_current_image()
    image = shared.state.current_image
    if shared.state.id_live_preview == known_id or image is None:
        return None, known_id
    buffer = io.BytesIO()
    fmt = shared.opts.live_previews_image_format
    image.save(buffer, format=fmt)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/{fmt};base64,{text}", shared.state.id_live_preview


def progressapi(req: ProgressRequest):
    active = req.id_task == current_task
    queued = req.id_task in pending_tasks
    completed = req.id_task in finished_tasks
    if not active:
        textinfo = "Waiting..."
        if queued:
            order = sorted(pending_tasks, key=pending_tasks.get)
            textinfo = f"In queue: {order.index(req.id_task) + 1}/{len(order)}"
        return ProgressResponse(
            active=active,
            queued=queued,
            completed=completed,
            id_live_preview=-1,
            textinfo=textinfo,
        )
    state = shared.state
    done = 0.0
    if state.job_count > 0:
        done += state.job_no / state.job_count
        if state.sampling_steps > 0:
            done += state.sampling_step / state.sampling_steps / state.job_count
    done = min(done, 1)
    elapsed = time.time() - state.time_start
    preview, preview_id = None, req.id_live_preview
    if shared.opts.live_previews_enable and req.live_preview:
        preview, preview_id = _live_preview(req.id_live_preview)
    return ProgressResponse(
        active=active,
        queued=queued,
        completed=completed,
        progress=done,
        eta=elapsed / done - elapsed if done > 0 else None,
        live_preview=preview,
        id_live_preview=preview_id,
        textinfo=state.textinfo,
    )


def restore_progress(id_task):
    while id_task == current_task or id_task in pending_tasks:
        time.sleep(0.1)
    found = next((x[1] for x in recorded_results if x[0] == id_task), None)
    if found is not None:
        return found
    return gr.update(), gr.update(), gr.update(), f"Couldn't restore progress for {id_task}"
