"""One job at a time. What went wrong in the main thread is shown under the picture."""

from __future__ import annotations

from functools import wraps

from modules_forge import main_thread

from tests.miniature.modules import call_queue as a1111
from tests.miniature.modules.call_queue import *  # noqa: F403


def _raising(func):
    """The main thread returns nothing where something was raised."""

    @wraps(func)
    def f(*args, **kwargs):
        result = func(*args, **kwargs)
        if result is None and main_thread.last_exception is not None:
            raise main_thread.last_exception
        return result

    return f


def wrap_gradio_gpu_call(func, extra_outputs=None):
    return a1111.wrap_gradio_gpu_call(_raising(func), extra_outputs)
