"""An X/Y/Z plot on the page: what each block of the checkpoint does, in one click."""

import pytest

from tests.browser.conftest import shoot
from tests.browser.person import (
    choose_axis,
    drop,
    generate,
    open_accordion,
    pixels,
    small,
    wait_until,
)

BLOCKS = 11  # of an SDXL checkpoint with cross-attention


pytestmark = pytest.mark.usefixtures("sdxl")


def test_every_block_of_the_checkpoint_is_tried_alone(page):
    small(page)
    open_accordion(page)
    drop(page)
    scripts = choose_axis(page, "[InstantStyle] each single block")
    scripts.locator("#script_txt2img_xyz_plot_csv_mode input").check()
    values = scripts.locator("#script_txt2img_xyz_plot_x_values textarea")
    values.wait_for(state="visible")
    scripts.locator("#xyz_grid_fill_x_tool_button").click()
    assert wait_until(page, lambda: "mid_block.attentions.0" in values.input_value())
    info, error = generate(page)
    assert error == ""
    assert "blocks: down_blocks.1.attentions.0=1" in info  # of the first cell
    grid = page.locator("#txt2img_gallery img").first
    shoot(page, "block-sweep")
    width = grid.evaluate("image => image.naturalWidth")
    assert BLOCKS * 64 <= width < (BLOCKS + 1) * 64  # a cell for each, and none twice
    assert len(set(pixels(page))) > 10
