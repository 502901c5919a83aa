"""Static markup of the page; the scripts in javascript/ bring it to life."""

from __future__ import annotations

import html


def drop_zone(target: str, title: str, hint: str, several: bool = False) -> str:
    """A box for pictures, kept as text in the text box with the id `target`."""
    also = " data-several" if several else ""
    return (
        f'<div class="instantstyle-drop" data-target="{target}"{also} tabindex="0" role="button" '
        f'aria-label="{html.escape(title)}: drop, paste or press Enter">'
        '<div class="instantstyle-pictures"></div>'
        f'<div class="instantstyle-hint"><b>{html.escape(title)}</b>'
        f"<span>{html.escape(hint)}</span></div>"
        f'<input type="file" accept="image/*"{" multiple" if several else ""} tabindex="-1" hidden>'
        "</div>"
    )


def heading(title: str) -> str:
    """The title of a group of controls."""
    return f'<div class="instantstyle-heading">{html.escape(title)}</div>'


def last_result_button(drop_zone_target: str, tab: str) -> str:
    """A button that takes the picture shown in the gallery of `tab`."""
    return (
        f'<button type="button" class="instantstyle-button" data-target="{drop_zone_target}" '
        f'data-gallery="{tab}_gallery" title="Take the picture that the gallery shows">'
        "From the last result</button>"
    )


def block_map_frame(status: str, blocks: str) -> str:
    """An empty map for the unit whose status is in `status` and own weights in `blocks` (ids)."""
    return f'<div class="instantstyle-map" data-status="{status}" data-blocks="{blocks}"></div>'
