"""One job at a time; and an error of the page's functions becomes text under the picture."""

from __future__ import annotations

import html
import time
from functools import wraps

from modules import devices, errors, fifo_lock, progress, shared

queue_lock = fifo_lock.FIFOLock()


def wrap_queued_call(func):
    def f(*args, **kwargs):
        with queue_lock:
            return func(*args, **kwargs)

    return f


def _task_id(args: tuple) -> str | None:
    first = args[0] if args else None
    is_id = isinstance(first, str) and first.startswith("task(") and first.endswith(")")
    return first if is_id else None


def wrap_gradio_gpu_call(func, extra_outputs=None):
    @wraps(func)
    def f(*args, **kwargs):
        id_task = _task_id(args)
        if id_task is not None:
            progress.add_task_to_queue(id_task)
        with queue_lock:
            shared.state.begin(job=id_task)
            progress.start_task(id_task)
            try:
                res = func(*args, **kwargs)
                progress.record_results(id_task, res)
            finally:
                progress.finish_task(id_task)
            shared.state.end()
        return res

    return wrap_gradio_call(f, extra_outputs=extra_outputs, add_stats=True)


def wrap_gradio_call(func, extra_outputs=None, add_stats=False):
    @wraps(func)
    def f(*args, **kwargs):
        try:
            return func(*args, **kwargs)
        finally:
            state = shared.state
            state.skipped = state.interrupted = state.stopping_generation = False
            state.job_count = 0
            state.job = ""

    return wrap_gradio_call_no_job(f, extra_outputs, add_stats)


def wrap_gradio_call_no_job(func, extra_outputs=None, add_stats=False):
    """On an error the outputs are `extra_outputs` and then the class and text of the error."""

    @wraps(func)
    def f(*args, extra_outputs_array=extra_outputs, **kwargs):
        started = time.perf_counter()
        try:
            res = list(func(*args, **kwargs))
        except Exception as e:
            arguments = f"Arguments: {args} {kwargs}"[:131072]
            errors.report(f"Error completing request\n{arguments}", exc_info=True)
            others = [None, ""] if extra_outputs_array is None else list(extra_outputs_array)
            message = html.escape(f"{type(e).__name__}: {e}")
            res = [*others, f"<div class='error'>{message}</div>"]
        devices.torch_gc()
        if add_stats:
            seconds = time.perf_counter() - started
            res[-1] += (
                "<div class='performance'><p class='time'>Time taken: <wbr>"
                f"<span class='measurement'>{seconds:.1f} sec.</span></p></div>"
            )
        return tuple(res)

    return f
