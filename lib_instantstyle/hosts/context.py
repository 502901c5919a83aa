"""One request: its WebUI, generation, UNet and files, looked up once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from lib_instantstyle.hosts import Host, current, model_folders
from lib_instantstyle.models.catalog import Catalog, scan
from lib_instantstyle.session import Session
from lib_instantstyle.unet.layers import UnetLayers, find_layers


class Context:
    """What a request is about.

    p: the generation, or what stands for it in a dry run; None where there is none. unet: None
    where it is not in memory. layers: those of the UNet, or of the chosen checkpoint's file; None
    where there is no checkpoint of a known family. notify: called with sentences for the user.
    kept: what this request keeps, one object of each kind. host, catalog: the WebUI and the model
    files; looked up when first asked, if not given.
    """

    def __init__(
        self,
        p: Any,
        unet: nn.Module | None = None,
        layers: UnetLayers | None = None,
        notify: Callable[[str], None] = print,
        host: Host | None = None,
        catalog: Catalog | None = None,
    ) -> None:
        self.p = p
        self.unet = unet
        self.layers = layers
        self.notify = notify
        self.kept = Session()
        self._host = host
        self._catalog = catalog

    @classmethod
    def of(cls, p: Any, notify: Callable[[str], None] = print) -> Context:
        """That of the generation or loaded checkpoint `p`; the UNet is walked once.

        Raises InstantStyleError if it is no UNet of a known layout.
        """
        unet = current(p).unet(p)
        return cls(p, unet, find_layers(unet), notify)

    def for_unet(self, unet: nn.Module) -> Context:
        """The same request with another UNet, as hires fix or a refiner may bring."""
        if unet is self.unet:
            return self
        layers = find_layers(unet)
        other = Context(self.p, unet, layers, self.notify, self._host, self._catalog)
        other.kept = self.kept
        return other

    @property
    def host(self) -> Host:
        """The WebUI."""
        if self._host is None:
            self._host = current(self.p)
        return self._host

    @property
    def catalog(self) -> Catalog:
        """The model files that are there."""
        if self._catalog is None:
            self._catalog = scan(model_folders())
        return self._catalog

    @property
    def known_layers(self) -> UnetLayers:
        """The layers, where they are known to be there."""
        assert self.layers is not None
        return self.layers
