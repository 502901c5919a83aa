"""What the script does at each of the WebUI's hooks. Off costs nothing: no import, no state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lib_instantstyle.hosts.wrapping import unwrap, wrap_next_call
from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.infotext import OWN_KEY
from lib_instantstyle.pure.units import NO_REFERENCE, Unit, parse_arguments

_RUN = "_instantstyle_run"  # run.ATTRIBUTE, known here without importing torch


def before_process(p: Any) -> None:
    """Clear what an earlier use of this `p` left: X/Y/Z cells and batch folders share state."""
    for key in [key for key in p.extra_generation_params if OWN_KEY.fullmatch(key)]:
        del p.extra_generation_params[key]
    for name in ("init", "sample"):
        unwrap(p, name)
    if hasattr(p, _RUN):
        delattr(p, _RUN)


def process(p: Any, arguments: Sequence[object]) -> None:
    """Check the units and make the plan, or refuse the generation."""
    try:
        units = [unit for unit in parse_arguments(arguments) if unit.acts]
        units = _without_untouched(p, units)
        if not units:
            return
        from lib_instantstyle.hosts import settings
        from lib_instantstyle.webui import run

        if settings.leaves_out(p):
            return

        run.start(p, units)
    except InstantStyleError as error:
        _refuse(p, str(error))
    except Exception as error:
        from lib_instantstyle.hosts.page import report_exception

        report_exception("InstantStyle could not be prepared", exc_info=True)
        _refuse(p, f"preparing failed with {type(error).__name__}: {error}; the log has the rest.")


def process_batch(p: Any) -> None:
    """Watch the sampling of this batch."""
    if hasattr(p, _RUN):
        getattr(p, _RUN).watch(p)


def process_before_every_sampling(p: Any) -> None:
    """Arm the sampler that is about to run."""
    if hasattr(p, _RUN):
        getattr(p, _RUN).arm(p)


def postprocess_image_after_composite(p: Any, pp: Any) -> None:
    """A picture is finished; what is written now reaches its own infotext."""
    if hasattr(p, _RUN):
        getattr(p, _RUN).measure_leak(p, pp.image)


def on_cfg_denoiser(params: Any) -> None:
    """A denoiser, of any generation, is about to evaluate a step."""
    run = getattr(getattr(params.denoiser, "p", None), _RUN, None)
    if run is not None:
        run.begin_step(params)


def _without_untouched(p: Any, units: Sequence[Unit]) -> list[Unit]:
    """`units` less those of the page that nobody asked anything of, each of which is told of.

    The WebUI switches an accordion on when it is opened: who only looked must get a picture.
    """
    if getattr(p, "is_api", False):
        return list(units)
    for unit in units:
        if unit.is_untouched:
            p.comment(f"InstantStyle: {NO_REFERENCE.format(unit.number)}")
    return [unit for unit in units if not unit.is_untouched]


def _refuse(p: Any, sentence: str) -> None:
    """Make the generation `p` end with `sentence` instead of a picture.

    Needs nothing that may have failed: neither torch nor our own rooms above it.
    """
    from lib_instantstyle.webui.errors import InstantStyle

    def around(init: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        raise InstantStyle(sentence)

    wrap_next_call(p, "init", around)
