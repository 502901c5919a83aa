"""What cannot be done is one sentence under the gallery, and no picture is made."""

import pytest

from tests.browser.conftest import shoot
from tests.browser.person import (
    drop,
    generate,
    open_accordion,
    open_advanced,
    prompt,
    set_choice,
    set_text,
    small,
)

pytestmark = pytest.mark.usefixtures("sdxl")


def adapter(name):
    return lambda page: set_choice(page, "adapter", name)


def blocks(text):
    return lambda page: set_text(page, "blocks", text)


def content_of_a_plus_adapter(page):
    set_choice(page, "adapter", "ip-adapter-plus_sdxl_vit-h")
    set_text(page, "content", "a cup")


def no_content(page):
    set_choice(page, "adapter", "auto")
    set_text(page, "content", "")


def wish(text, negative=False):
    return lambda page: prompt(page, negative=negative).fill(text)


def styleid(page):
    set_choice(page, "method", "styleid")


def ip_adapter(page):
    set_choice(page, "method", "ip-adapter")


# What a person does, the sentence, and how it is undone. Others are in test_page (no reference)
# and test_pictures (no picture).
WRONG = [
    (
        adapter("ip-adapter_sd15"),
        "is made for SD1.5, the loaded checkpoint is SDXL",
        adapter("auto"),
    ),
    (blocks("no_block=1"), "no_block has no cross-attention in SDXL", blocks("")),
    (blocks("6=much"), "'much'", blocks("")),
    (content_of_a_plus_adapter, "content", no_content),
    (styleid, "'styleid', which needs a picture to change; use it in img2img", ip_adapter),
    (wish("a cat <instantstyle:moon:1>"), "style 'moon' is not among", wish("a cat")),
    (
        wish("<instantstyle:moon:1>", negative=True),
        "stands in the negative prompt",
        wish("", negative=True),
    ),
]


def test_each_wrong_wish_is_one_sentence_and_no_picture(page):
    small(page)
    open_accordion(page)
    drop(page)
    open_advanced(page)
    for wrong, sentence, undo in WRONG:
        wrong(page)
        info, error = generate(page)
        assert sentence in error
        assert info == "" and error.strip().count("\n") == 0
        undo(page)
    shoot(page, "errors")
    info, error = generate(page)
    assert error == "" and "InstantStyle 1: " in info
