"""In another language: the WebUI replaces each text that a translation has, where it appears."""

import json

import pytest

from tests.browser.conftest import settled, shoot
from tests.browser.person import (
    box,
    cell,
    choose_unit,
    drop,
    generate,
    open_accordion,
    open_advanced,
    set_choice,
    small,
    status,
    wait_until,
    zone,
)

pytestmark = pytest.mark.usefixtures("sdxl")

# As A1111's localization.js: text nodes as a whole, tooltips and placeholders, of what is added.
TRANSLATE = """(() => {
    const words = WORDS;
    const translated = text => words[text.trim()];
    const text = node => {
        if (!node.parentElement || /^(SCRIPT|STYLE|TEXTAREA)$/.test(node.parentElement.nodeName))
            return;
        const found = translated(node.textContent);
        if (found !== undefined) node.textContent = found;
    };
    const all = node => {
        if (node.nodeType === Node.TEXT_NODE) return text(node);
        if (node.nodeType !== Node.ELEMENT_NODE) return;
        for (const each of [node, ...node.querySelectorAll("[title], [placeholder]")])
            for (const name of ["title", "placeholder"])
                if (each[name] && translated(each[name]) !== undefined)
                    each[name] = translated(each[name]);
        const walk = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
        const found = [];
        while (walk.nextNode()) found.push(walk.currentNode);
        found.forEach(text);
    };
    new MutationObserver(seen => seen.forEach(each => each.addedNodes.forEach(all))).observe(
        document, {childList: true, subtree: true});
})()"""

# Every text of the accordion, without what is said of the moment (status, map, lists of files), and
# without the tooltips of components, which the WebUI puts there and translates itself.
TEXTS = """() => {
    const root = document.querySelector("#script_txt2img_instantstyle_enabled");
    const ofTheMoment = '[id$="_status"], [id$="_map"], [id$="_downloads_list"], ul.options';
    const tooltips = new Set(gradio_config.components.map(each => each.props.webui_tooltip));
    const found = new Set();
    const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const node = walk.currentNode;
        if (!node.parentElement.closest(ofTheMoment + ", textarea")) found.add(node.textContent);
    }
    for (const each of root.querySelectorAll("[title], [placeholder]"))
        if (!each.closest(ofTheMoment))
            [each.title, each.placeholder].filter(t => !tooltips.has(t)).forEach(t => found.add(t));
    return Array.from(found, t => (t || "").trim()).filter(t => /[a-z]{2}/i.test(t)).sort();
}"""


def look(page):
    """The texts of the opened accordion."""
    open_accordion(page)
    open_advanced(page)
    status(page).wait_for()
    return page.evaluate(TEXTS)


def test_a_translated_page_works_as_before(page):
    texts = look(page)
    assert len(texts) > 150
    words = {text: f"\u00bb{text}" for text in texts}
    page.add_init_script(TRANSLATE.replace("WORDS", json.dumps(words)))
    page.reload()
    settled(page)
    assert look(page) == sorted(words.values())  # each as a whole, and none put together

    set_choice(page, "preset", "style+layout")
    assert wait_until(page, lambda: "instantstyle-lit" in cell(page, 3).get_attribute("class"))
    small(page)
    drop(page)
    info, error = generate(page)
    assert error == "" and "preset: style+layout" in info
    shoot(page, "translated")
    zone(page).locator(".instantstyle-clear").click()
    assert wait_until(page, lambda: box(page).input_value() == "")
    assert "\u00bb" in zone(page).locator(".instantstyle-hint b").inner_text()
    choose_unit(page, 2)
