"""Our tag among the WebUI's extra networks, and the cards that insert it into a prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modules import extra_networks, ui_extra_networks

from lib_instantstyle.hosts.page import is_public

# Stands for the styles' folder in what strangers see. There is none of that name, so that the WebUI
# cannot write notes and pictures of theirs beside a style either.
_NOWHERE = "not shown"


@dataclass(frozen=True)
class Card:
    """One card on our page of the extra networks."""

    name: str
    file: Path
    preview: str  # address of a picture, or a data URL
    description: str
    metadata: dict[str, Any]


class TagNetwork(extra_networks.ExtraNetwork):  # type: ignore[misc]  # the WebUI has no types
    """Has the WebUI take our tags out of the prompts; styles/tags.py reads them."""

    def activate(self, p: Any, params_list: Any) -> None:
        """Do nothing: hires fix calls this with other tags, and catches every exception."""

    def deactivate(self, p: Any) -> None:
        """Do nothing: `activate` did nothing."""


class CardsPage(ui_extra_networks.ExtraNetworksPage):  # type: ignore[misc]
    """Cards, with the interface that the WebUI's page of extra networks asks for."""

    def __init__(
        self, title: str, tag: str, folder: Path, cards: Callable[[], Iterable[Card]]
    ) -> None:
        super().__init__(title)
        self._tag = tag
        self._folder = folder
        self._cards = cards

    def list_items(self) -> Iterator[dict[str, Any]]:
        for place, card in enumerate(self._cards()):
            item = None
            with suppress(OSError):  # its file has just gone
                item = self._item(card, place)
            if item is not None:
                yield item

    def create_item(
        self, name: str, index: int | None = None, enable_filter: bool = True
    ) -> dict[str, Any] | None:
        """The item of one card, which the WebUI hands out without a login."""
        found = (card for card in self._cards() if card.name == name)
        if is_public():
            found = (replace(card, preview="", description="") for card in found)
        return next((self._item(card, index) for card in found), None)

    def allowed_directories_for_previews(self) -> list[str]:
        """Where the WebUI may take pictures from and write them to; it asks for no login."""
        return [] if is_public() else [str(self._folder)]

    def read_user_metadata(self, item: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        """Add what the user has noted beside a style; not for strangers."""
        if is_public():
            item["user_metadata"] = {}
        else:
            super().read_user_metadata(item, *args, **kwargs)

    def _item(self, card: Card, place: int | None) -> dict[str, Any]:
        """What the WebUI makes a card of; strangers are told neither path nor metadata."""
        public = is_public()
        file = Path(_NOWHERE, card.file.name) if public else card.file
        without_ending = str(file.with_suffix(""))
        own_preview = None if public else self.find_preview(without_ending)
        quote = ui_extra_networks.quote_js
        sort_keys = {**self.get_sort_keys(str(card.file))}
        if public:
            sort_keys |= {key: card.name for key in ("name", "path") if key in sort_keys}
        return {
            "name": card.name,
            "filename": str(file),
            "shorthash": None,
            "preview": own_preview or card.preview,
            "description": card.description,
            "search_terms": [card.name if public else self.search_terms_from_path(str(file))],
            # JavaScript that the WebUI evaluates when a card is clicked.
            "prompt": f"{quote(f'<{self._tag}:{card.name}:')}"
            f" + opts.extra_networks_default_multiplier + {quote('>')}",
            "local_preview": f"{without_ending}.preview.png",
            "metadata": {} if public else card.metadata,
            "sort_keys": {"default": place, **sort_keys},
        }


def register_tag(title: str, tag: str, folder: Path, cards: Callable[[], Iterable[Card]]) -> None:
    """Add the tag `tag` and a page with `cards`; the WebUI drops both when it rebuilds its page."""
    extra_networks.register_extra_network(TagNetwork(tag))
    ui_extra_networks.register_page(CardsPage(title, tag, folder, cards))
