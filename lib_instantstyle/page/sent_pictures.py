"""Which tab of a browser has sent which picture, kept where strangers may use the page.

Each tab has a random number of its own, which javascript/instantstyle.js makes and sends with the
tab's events. Gradio's session hash would do as well, but Gradio 3 tells it to no function. Nobody
else learns the number, and a restart of the WebUI forgets all of them.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from threading import Lock

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.methods import TABLE
from lib_instantstyle.session import SESSION

_TAB = re.compile(r"[0-9a-f]{32}")


class SentPictures:
    """Who has sent what; of more than SENT_PICTURES the longest unused are forgotten."""

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._changing = Lock()

    def add(self, sender: str, sha256: str) -> None:
        """Note that the tab `sender` has sent the picture; nothing for what is no tab's number."""
        if not _TAB.fullmatch(sender):
            return
        with self._changing:
            self._entries[sender, sha256] = None
            self._entries.move_to_end((sender, sha256))
            while len(self._entries) > limits.SENT_PICTURES:
                self._entries.popitem(last=False)

    def has(self, sender: str, sha256: str) -> bool:
        """Whether the tab `sender` has sent the picture."""
        with self._changing:
            return (sender, sha256) in self._entries


def sent_pictures() -> SentPictures:
    """Those of this process."""
    return SESSION.of(SentPictures)


def note_sent(text: str, sender: str) -> None:
    """Note that the tab `sender` has put `text`, the page's pictures, into one of its boxes.

    What is no picture is passed over: using it is refused with a sentence.
    """
    from lib_instantstyle.references.unit_pictures import RequestPictures  # Pillow's part

    if not text or not _TAB.fullmatch(sender):
        return
    pictures = RequestPictures()
    try:
        for reference in TABLE.parse_unit({"image": text}).image:
            sent_pictures().add(sender, pictures.decoded(reference.image).sha256)
            pictures.forget()
    except InstantStyleError:
        return
