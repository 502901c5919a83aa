"""Checkpoints as A1111 loads them, with Forge's patchers around the same networks."""

from __future__ import annotations

from tests.miniature.forge_family.patchers import forge_objects_of
from tests.miniature.modules import sd_models as a1111
from tests.miniature.modules.sd_models import *  # noqa: F403

_load_checkpoint = a1111.load_checkpoint


def load_checkpoint(filename, dtype):
    model = _load_checkpoint(filename, dtype=dtype)
    model.forge_objects = forge_objects_of(model)
    return model


a1111.load_checkpoint = load_checkpoint
