"""All that is trained, in order: text, judges, image, image tokens, base twice, two adapters.

A stage builds on the running means of those before it.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path

import torch
from torch import nn

from . import adapter, base, clip, critic, judge
from .attention import training_attention
from .captions import ALL_CAPTIONS
from .course import Course, Loss, Training

COURSES: Mapping[str, Course] = {
    course.name: course
    for course in (
        clip.TEXT_COURSE,
        judge.COURSE,
        critic.COURSE,
        clip.IMAGE_COURSE,
        adapter.TOKENS_COURSE,
        base.COURSE,
        base.DETAILS_COURSE,
        adapter.COURSE,
        adapter.DETAILS_COURSE,
        adapter.STYLE_COURSE,
    )
}

NEEDS: Mapping[str, tuple[str, ...]] = {
    "text": (),
    "judge": (),
    "critic": (),
    "image": ("text",),
    "tokens": ("image",),
    "base": ("text",),
    "details": ("text", "base"),
    "adapter": ("text", "image", "tokens", "details"),
    "adapter_details": ("text", "image", "tokens", "details", "adapter"),
    "style_adapter": ("text", "image", "tokens", "details"),
}


# A network that is trained twice is kept as the second stage leaves it.
LAST: Mapping[str, str] = {"base": "details", "adapter": "adapter_details"}


class Study:
    """All trainings in one folder; what is there already is gone on with."""

    def __init__(
        self,
        folder: Path,
        courses: Mapping[str, Course] = COURSES,
        device: torch.device | str = "cpu",
        compiled: bool = False,
    ) -> None:
        """`compiled`: train a compiled base: a third quicker, and it needs a C++ compiler."""
        self.folder, self.courses, self.device = folder, courses, torch.device(device)
        self._compiled = compiled
        self._made: dict[str, Training] = {}

    def training(self, name: str) -> Training:
        """The training of a stage, as far as it got."""
        if name not in self._made:
            course = self.courses[name]
            make, loss = _MAKERS[name](self, course)
            torch.manual_seed(course.seed)
            network = make().to(self.device)
            compiled = self._compiled and name in ("base", "details")
            self._made[name] = Training(network, course, loss, self.folder, compiled)
        return self._made[name]

    def mean(self, name: str) -> nn.Module:
        """The trained network of a stage: the one with the running mean of the weights."""
        return self.training(name).mean.eval()

    def is_done(self, name: str) -> bool:
        training = self.training(name)
        return training.step >= training.course.steps

    def run(self, until: float | None = None, only: str | None = None) -> bool:
        """Train what is not done, in order; whether all of it now is. `until`: time.monotonic.

        Raises ValueError where `only` builds on a stage that is not trained to its end.
        """
        if only and (missing := [name for name in NEEDS[only] if not self.is_done(name)]):
            raise ValueError(f"{only} builds on {', '.join(missing)}: train that to its end first")
        for name in [only] if only else self.courses:
            with training_attention():
                if not self.training(name).run(until):
                    return False
            if until is not None and time.monotonic() > until:
                break
        return all(map(self.is_done, self.courses))

    @torch.no_grad()
    def prompts(self) -> base.Prompts:
        return base.Prompts(self.mean("text")(list(ALL_CAPTIONS)))


# What a stage needs of those before it is made first, so that the weights that a network begins
# with depend on the seed alone.
_Making = tuple[Callable[[], nn.Module], Loss]


def _text(study: Study, course: Course) -> _Making:
    return clip.TextTower, clip.text_loss


def _judge(study: Study, course: Course) -> _Making:
    return judge.Judge, judge.make_loss(course)


def _critic(study: Study, course: Course) -> _Making:
    return critic.Critic, critic.make_loss(course)


def _image(study: Study, course: Course) -> _Making:
    with torch.no_grad():
        texts = study.mean("text")(list(clip.TEXTS))
    return clip.ImageTower, clip.make_image_loss(texts, course)


def _base(study: Study, course: Course) -> _Making:
    return base.new_unet, base.make_loss(study.prompts(), course)


def _details(study: Study, course: Course) -> _Making:
    begun = study.mean("base")
    loss = base.make_loss(study.prompts(), course, base.EVEN)
    return lambda: _trainable(begun), loss


def _adapter_details(study: Study, course: Course) -> _Making:
    begun = study.mean("adapter")
    unet, tower = study.mean("details"), study.mean("image")
    loss = adapter.make_loss(unet, tower, study.prompts(), course, base.EVEN)
    return lambda: copy.deepcopy(begun).requires_grad_(True), loss


def _trainable(network: nn.Module) -> nn.Module:
    """A copy of a trained UNet, of which the same is trained as of a new one."""
    copied = base.new_unet()
    copied.load_state_dict(network.state_dict())
    return copied


def _tokens(study: Study, course: Course) -> _Making:
    loss = adapter.make_tokens_loss(study.mean("image"), course)
    return partial(adapter.ImageProjection, clip.EMBED_DIM), loss


def _adapter(study: Study, course: Course, blocks: Collection[int] = adapter.ALL_BLOCKS) -> _Making:
    unet, tower, projection = (study.mean(name) for name in ("details", "image", "tokens"))
    loss = adapter.make_loss(unet, tower, study.prompts(), course)
    return partial(adapter.Adapter, unet, projection, blocks), loss


_MAKERS = {
    "text": _text,
    "judge": _judge,
    "critic": _critic,
    "image": _image,
    "tokens": _tokens,
    "base": _base,
    "details": _details,
    "adapter": _adapter,
    "adapter_details": _adapter_details,
    "style_adapter": partial(_adapter, blocks=adapter.STYLE_BLOCKS),
}
