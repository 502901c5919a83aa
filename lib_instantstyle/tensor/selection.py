"""Which adapter and which image encoder serve a unit: chosen by shapes, never by file names."""

from __future__ import annotations

from lib_instantstyle.pure.catalog import AdapterFile, Catalog, TowerFile
from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.model_kinds import LINEAR
from lib_instantstyle.pure.units import AUTO
from lib_instantstyle.tensor.plan import check_fit
from lib_instantstyle.tensor.unet import UnetLayers

_ENCODERS = {768: "ViT-L/14", 1024: "ViT-H/14", 1280: "ViT-bigG/14"}
_STOCK_ADAPTERS = {"sdxl": "ip-adapter_sdxl.safetensors", "sd15": "ip-adapter_sd15.safetensors"}


def choose(name: str, catalog: Catalog, unet: UnetLayers) -> tuple[AdapterFile, TowerFile]:
    """The adapter `name` (or, for "auto", the best that fits) and the image encoder for it.

    Raises InstantStyleError that says what is missing and where to put it.
    """
    if name != AUTO:
        adapter = catalog.adapter(name)
        _check(adapter, unet)
        return adapter, _tower(adapter, catalog)
    fitting = [adapter for adapter in catalog.adapters if _fits(adapter, unet)]
    if not fitting:
        raise InstantStyleError(
            f"no IP-Adapter for {unet.layout.title} was found; put "
            f"{_STOCK_ADAPTERS[unet.layout.id]} into models/ControlNet or models/InstantStyle."
        )
    # A wider image vector tells more of the reference; the name only breaks ties, reproducibly.
    fitting.sort(key=lambda adapter: (-adapter.kind.embedding_width, adapter.name))
    for adapter in fitting:
        if any(_serves(tower, adapter) for tower in catalog.towers):
            return adapter, _tower(adapter, catalog)
    return fitting[0], _tower(fitting[0], catalog)


def _fits(adapter: AdapterFile, unet: UnetLayers) -> bool:
    try:
        _check(adapter, unet)
    except InstantStyleError:
        return False
    return True


def _check(adapter: AdapterFile, unet: UnetLayers) -> None:
    if adapter.kind.projection != LINEAR:
        raise InstantStyleError(
            f"adapter {adapter.name} is a {adapter.kind.projection}; this version works with the "
            "linear ones: ip-adapter_sdxl, ip-adapter_sdxl_vit-h, ip-adapter_sd15."
        )
    check_fit(adapter.name, adapter.kind, unet)


def _serves(tower: TowerFile, adapter: AdapterFile) -> bool:
    return tower.kind.embedding_width == adapter.kind.embedding_width


def _tower(adapter: AdapterFile, catalog: Catalog) -> TowerFile:
    for tower in catalog.towers:
        if _serves(tower, adapter):
            return tower
    width = adapter.kind.embedding_width
    encoder = f"{_ENCODERS[width]} " if width in _ENCODERS else ""
    found = ", ".join(f"{t.name} makes {t.kind.embedding_width}" for t in catalog.towers) or "none"
    raise InstantStyleError(
        f"adapter {adapter.name} needs the CLIP image encoder {encoder}with vectors of {width} "
        f"numbers, which was not found (found: {found}); put it into models/clip_vision."
    )
