"""What belongs to one request: its WebUI, generation, UNet and model files, looked up once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from lib_instantstyle.hosts import Host, current, model_folders
from lib_instantstyle.models.catalog import Catalog, scan
from lib_instantstyle.session import Session
from lib_instantstyle.unet.layers import UnetLayers, find_layers


class Context:
    """What belongs to one request.

    p: the generation, or a RequestedGeneration in a dry run; None if there is neither. unet: None
    if it is not in memory. layers: those of the UNet, or of the chosen checkpoint's file; None if
    there is no checkpoint of a known family. notify: called with sentences for the user. subject:
    the number of the unit that they are about; None for all. kept: what this request keeps, one
    object of each kind. host, catalog: the WebUI and the model files; looked up at the first use
    if not given.
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
        self.subject: int | None = None
        self.kept = Session()
        self._host = host
        self._catalog = catalog

    @classmethod
    def of(cls, p: Any, notify: Callable[[str], None] = print) -> Context:
        """The context of the generation or LoadedCheckpoint `p`, with the layers of its UNet.

        Raises InstantStyleError if the UNet has no known layout.
        """
        unet = current(p).unet(p)
        return cls(p, unet, find_layers(unet), notify)

    @contextmanager
    def about(self, number: int) -> Iterator[None]:
        """A block whose sentences for the user are about unit `number`."""
        previous, self.subject = self.subject, number
        try:
            yield
        finally:
            self.subject = previous

    def with_unet(self, p: Any, unet: nn.Module) -> Context:
        """The context with another UNet, to which hires fix or a refiner has changed."""
        if unet is self.unet:
            return self
        other = Context(p, unet, find_layers(unet), self.notify, self._host, self._catalog)
        other.kept = self.kept
        return other

    def without_unet(self) -> Context:
        """What may be kept when the sampling is over: `p` and its UNet must be free to go."""
        other = Context(None, None, None, self.notify, self.host, self._catalog)
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
        """The model files found."""
        if self._catalog is None:
            self._catalog = scan(model_folders())
        return self._catalog

    @property
    def tile_script(self) -> str:
        """The title of the chosen script that makes the picture tile by tile, each with the same
        `p`, or "". SD upscale and Ultimate SD upscale do.
        """
        p = self.p
        scripts = getattr(getattr(p, "scripts", None), "selectable_scripts", ())
        chosen = next(iter(getattr(p, "script_args", None) or ()), None)
        title = str(vars(p).get("script_name", ""))
        if isinstance(chosen, int) and 0 < chosen <= len(scripts):
            title = str(scripts[chosen - 1].title())
        return title if "upscale" in title.lower() else ""

    @property
    def known_layers(self) -> UnetLayers:
        """`layers`, for callers that know them to be there."""
        assert self.layers is not None
        return self.layers
