"""What the script does at each of the WebUI's hooks. Without units: no import and no state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lib_instantstyle.errors import InstantStyleError, reason
from lib_instantstyle.hosts.live import in_generation, uses_onnx
from lib_instantstyle.hosts.wrapping import unwrap, wrap_calls
from lib_instantstyle.limits import UNITS
from lib_instantstyle.methods import TABLE
from lib_instantstyle.run import state
from lib_instantstyle.run.notes import note, note_ineffective, note_losses
from lib_instantstyle.styles.tags import of_batch, tags_in, units_of
from lib_instantstyle.units.infotext import OWN_KEY
from lib_instantstyle.units.unit import NO_REFERENCE, Unit

_WRAPPED = ("init", "sample", "setup_prompts")  # methods of `p`


def before_process(p: Any, arguments: Sequence[object] = ()) -> None:
    """Clear what an earlier use of this `p` left: X/Y/Z plots and batch folders reuse it.

    The branch for AMD devices calls no other hook of a script with ONNX models; it is refused here.
    """
    _clear_infotext(p)
    for name in _WRAPPED:
        unwrap(p, name)
    for name in state.ALL:
        if hasattr(p, name):
            delattr(p, name)
    prompt = str(getattr(p, "prompt", ""))  # one, or a list of them
    # The first argument is False where nothing is on.
    if (any(arguments[:1]) or "<" in prompt) and uses_onnx():
        _refuse_onnx(p, arguments, prompt)


def _refuse_onnx(p: Any, arguments: Sequence[object], prompt: str) -> None:
    try:
        if _acting(p, TABLE.parse_arguments(arguments)) or tags_in(prompt):
            raise InstantStyleError(
                "the style cannot be applied to ONNX and Olive models, which have no layers to act "
                "in; switch the setting onnx_enable off, or the units, and leave out their tags."
            )
    except Exception as error:
        _refuse(p, "setup_prompts", error)


@in_generation()
def process(p: Any, arguments: Sequence[object]) -> None:
    """Check and prepare the units, or refuse the generation."""
    try:
        units = TABLE.parse_arguments(arguments)
        if units:
            setattr(p, state.UNITS, units)
            _start(p, _acting(p, units))
        if TABLE.is_of_page(arguments):
            note_losses(p)
    except Exception as error:
        _refuse(p, "init", error)


@in_generation()
def process_batch(p: Any, number: int) -> None:
    """Prepare the units of the tags in the prompts of batch `number`, and watch its sampling.

    Tags are read here because other scripts may change the prompts until now.
    """
    for name in _WRAPPED:
        unwrap(p, name)
    try:
        tags = of_batch(p, number)
        if tags != getattr(p, state.TAGS, ()):
            setattr(p, state.TAGS, tags)
            if hasattr(p, state.RUN):
                delattr(p, state.RUN)
            _clear_infotext(p)
            units = [*getattr(p, state.UNITS, []), *units_of(tags, UNITS + 1, TABLE)]
            _start(p, _acting(p, units))
    except Exception as error:
        _refuse(p, "sample", error)
        return
    if hasattr(p, state.RUN):
        getattr(p, state.RUN).watch(p)


def process_before_every_sampling(p: Any) -> None:
    """Have the sampler that runs next do so with the hooks on the UNet."""
    if hasattr(p, state.RUN):
        getattr(p, state.RUN).arm(p)


@in_generation()
def postprocess_image_after_composite(p: Any, pp: Any) -> None:
    """Measure the finished picture `pp.image`; what is written now is in its own infotext."""
    if hasattr(p, state.RUN):
        getattr(p, state.RUN).measure_leak(p, pp.image)


def on_cfg_denoiser(params: Any) -> None:
    """Called before each step of the denoiser of any generation."""
    run = getattr(getattr(params.denoiser, "p", None), state.RUN, None)
    if run is not None:
        run.begin_step(params)


def _clear_infotext(p: Any) -> None:
    for key in [key for key in p.extra_generation_params if OWN_KEY.fullmatch(key)]:
        del p.extra_generation_params[key]


def _acting(p: Any, units: Sequence[Unit]) -> list[Unit]:
    """The `units` that can change the picture.

    A unit with weight 0 is off and gets no note; one whose start is not before its end gets one. A
    unit of the page that is on and otherwise at its defaults is left out with a comment, because
    the WebUI switches an accordion on when it is opened.
    """
    acting = []
    for unit in units:
        if unit.is_untouched and not unit.tag and not getattr(p, "is_api", False):
            note(p, unit.number, NO_REFERENCE.format(unit.number))
        elif unit.acts:
            acting.append(unit)
        elif unit.why_idle == (unit.empty_range,):
            note(p, unit.number, f"{unit.title}: {unit.empty_range}")
    return acting


def _start(p: Any, units: Sequence[Unit]) -> None:
    if not units:
        return
    from lib_instantstyle.hosts import settings
    from lib_instantstyle.run import run

    if not settings.leaves_out(p):
        run.start(p, units)
        if any(unit.differs(name) for unit in units for name in unit.table.page_fields):
            note_ineffective(p, units)


def _refuse(p: Any, method: str, error: Exception) -> None:
    """Make the next call of `p.method` raise the sentence of `error`.

    It imports neither torch nor the rooms that prepare units, because these may be what failed.
    """
    from lib_instantstyle.hosts.refusal import InstantStyle

    sentence = str(error)
    if not isinstance(error, InstantStyleError):
        from lib_instantstyle.hosts.page import report_exception

        report_exception("InstantStyle could not be prepared", exc_info=True)
        sentence = (
            f"preparing failed with {type(error).__name__}: {reason(error)}; the log has the rest."
        )

    def around(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        raise InstantStyle(sentence)

    wrap_calls(p, method, around)
