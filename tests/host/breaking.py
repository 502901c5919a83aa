"""Functions of ours that run while the sampler does, found and broken one at a time.

A profiler's callback may raise: the exception then comes out of the function that was called, as if
the function itself had failed.
"""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.host.generations import CONTENT, ROOT, style
from tests.miniature.recorder import unet_of

LIBRARY = ROOT / "lib_instantstyle"
SMALL = {"steps": 2, "width": 64, "height": 64}
HOOKS = [
    "_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs",
    "_forward_pre_hooks_with_kwargs", "_backward_hooks", "_state_dict_hooks",
]  # fmt: skip
# All that these two do is to hold what the callback of the denoiser raises until it can be told.
HOLDING = {"run/script_hooks.py on_cfg_denoiser", "run/run.py begin_step"}


def txt2img(*units):
    return lambda webui, on: webui.txt2img(expect=None, **SMALL, **(style(*units) if on else {}))


def img2img(*units):
    return lambda webui, on: webui.img2img(
        CONTENT, expect=None, **SMALL, **(style(*units) if on else {})
    )


class Function(NamedTuple):
    """One of ours. Its code may be another object at the next call, where lines are counted."""

    file: str
    line: int
    name: str

    @property
    def told(self):
        return f"{self.file} {self.name}"


def function_of(code):
    file = Path(code.co_filename).relative_to(LIBRARY).as_posix()
    return Function(file, code.co_firstlineno, code.co_name)


@contextmanager
def while_sampling(see):
    """Call `see` with each function of ours that is called in `p.sample`."""
    from modules import processing

    def profiled(sample):
        def around(*args, **kwargs):
            sys.setprofile(look)
            try:
                return sample(*args, **kwargs)
            finally:
                sys.setprofile(None)

        return around

    def look(frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(str(LIBRARY)):
            see(function_of(frame.f_code))

    kinds = (
        processing.StableDiffusionProcessingTxt2Img,
        processing.StableDiffusionProcessingImg2Img,
    )
    with pytest.MonkeyPatch.context() as patch:
        for kind in kinds:
            patch.setattr(kind, "sample", profiled(kind.sample))
        yield


def breaking(broken, call):
    """What raises at that call of the function `broken`."""
    calls = 0

    def see(function):
        nonlocal calls
        calls += function == broken
        if function == broken and calls == call:
            raise ZeroDivisionError("on purpose")

    return see


def traces_on(model):
    """What could have been left on a model: attributes and hooks of each of its modules."""
    modules = model if hasattr(model, "named_modules") else unet_of(model)
    return {
        name: (sorted(vars(module)), [len(getattr(module, kind, ())) for kind in HOOKS])
        for name, module in modules.named_modules()
    }


def functions_of(make, webui):
    """How often each function of ours is called while the sampler runs."""
    called = Counter()
    with while_sampling(lambda function: called.update([function])):
        make(webui, True)
    return {each: count for each, count in called.items() if not each.name.startswith("<")}


def break_each(webui, make, known=frozenset()):
    """Break each function that `make` calls and that is not `known`: no picture comes, or the very
    one that was asked for, and the next one is as if nothing was.

    Returns those that were called, and what was found to be wrong.
    """
    wrong = []
    plain, styled = make(webui, False), make(webui, True)
    assert styled.status == 200 and styled.pixels != plain.pixels
    untouched = traces_on(webui.sd_model)
    called = functions_of(make, webui)
    for function in called.keys() - known:
        with while_sampling(breaking(function, (called[function] + 1) // 2)):
            answer = make(webui, True)
        another = answer.status == 200 and answer.pixels != styled.pixels
        if another and function.told not in HOLDING:
            wrong.append(f"{function.told}: another picture")
        if answer.status != 200 and "images" in answer.body:
            wrong.append(f"{function.told}: a picture beside an error")
        if traces_on(webui.sd_model) != untouched:
            wrong.append(f"{function.told}: something is left on the model")
        if make(webui, False).png != plain.png:
            wrong.append(f"{function.told}: the next picture is another one")
    assert make(webui, True).png == styled.png
    return called.keys(), wrong
