"""Several browser tabs on one WebUI."""

import re

import pytest

from tests.browser.conftest import open_page
from tests.browser.person import (
    COFFEE,
    STARS,
    box,
    choose_unit,
    drop,
    generate,
    number_box,
    open_accordion,
    set_number,
    small,
)

pytestmark = pytest.mark.usefixtures("sdxl")


def styled(page, weight):
    """A picture with that weight; the hash of its reference."""
    info, error = generate(page)
    assert error == "" and f"weight: {weight}" in info
    return re.search(r"reference: (\w+)", info).group(1)


def test_two_tabs_are_two_pages_of_one_webui(page, webui):
    other = page.context.new_page()
    open_page(other, webui)
    for each, picture, weight in ((page, COFFEE, 0.6), (other, STARS, 0.4)):
        small(each)
        open_accordion(each)
        drop(each, picture)
        set_number(each, "weight", weight)
    choose_unit(other, 2)
    assert "" != box(page).input_value() != box(other).input_value() != ""
    first, second = styled(page, 0.6), styled(other, 0.4)
    assert first != second
    seed = page.locator("#txt2img_seed input[type=number]").first
    seed.fill("8")  # a second picture that says the same could not be told from the first
    seed.press("Tab")
    assert styled(page, 0.6) == first  # the other's picture left nothing here
    values = [number_box(each, "weight").input_value() for each in (page, other)]
    assert values == ["0.6", "0.4"]
    other.close()
