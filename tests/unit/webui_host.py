"""What a WebUI must offer for a generation to be prepared."""

from typing import NamedTuple

import torch

from lib_instantstyle.clip.device_memory import Uncounted
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.methods import load
from lib_instantstyle.unet.plan import Plan


class Prepared(NamedTuple):
    """What a generation prepares of some units, and what the user is told."""

    plan: Plan
    infotext: dict
    notes: list


def context_of(host, layers=None, notify=print, catalog=None):
    """A request that reaches `host` with a UNet of `layers`."""
    return Context(None, None, layers, notify, host, catalog)


def prepared(units, layers, host):
    """The part of `units`, all IP-Adapters, in a generation with such a UNet."""
    notes = []
    part = load("ip-adapter").prepare(units, context_of(host, layers, notes.append))
    return Prepared(part.plan, part.infotext, list(dict.fromkeys(notes)))


class Host:
    """A WebUI as far as preparing needs one."""

    def device(self):
        return torch.device("cpu")

    def encoder_dtype(self):
        return torch.float32

    def keeps_encoder(self):
        return False

    def make_room(self, size):
        pass

    def enter(self, encoder, device):
        return Uncounted()

    def crops_folder(self):
        return None

    def embeddings_folder(self):
        return None

    def reference_folder(self):
        return None
