// Saved styles: a chosen one stands in the box for the reference, its name is proposed by the file
// of the reference, and the WebUI's cards are made anew when the library has changed.
instantstyle.styles = (function() {
    "use strict";

    const CHANGED = /^(Saved as|Renamed to|Deleted|Imported as) /;
    const PAUSE = 100, TRIES = 30; // milliseconds between looks for a link, and how many
    const make = instantstyle.make;
    const said = new WeakMap(); // message -> its text when last looked at

    // For the box with the id UNIT_style_name: the name of the reference's file.
    function name(box) {
        const unit = box.replace(/style_name$/, "");
        const figure = document.querySelector(
            '.instantstyle-drop[data-target="' + unit + 'image"] .instantstyle-picture');
        return figure ? figure.dataset.name.replace(/[^\p{L}\p{M}\p{N} _.()'&+!-]/gu, " ").trim() : "";
    }

    // The chosen style where a reference would be; a picture beside it is shown as well.
    function show(zone) {
        const unit = /^(.*)image$/.exec(zone.dataset.target);
        if (!unit) return;
        const box = instantstyle.textBox(unit[1] + "style");
        const list = box && box.closest(".instantstyle-unneeded") ? null : box;
        const chosen = list ? list.value : "";
        const card = document.querySelector("#" + CSS.escape(unit[1] + "style_card") + " img");
        const source = chosen && card ? card.src : "";
        const key = chosen ? chosen + source : "";
        if ((zone.dataset.style || "") === key) return;
        zone.dataset.style = key;
        const old = zone.querySelector(".instantstyle-chosen-style");
        if (old) old.remove();
        if (!chosen) return;
        const figure = make("div", {className: "instantstyle-chosen-style"});
        if (source) make("img", {src: source, alt: "", className: "instantstyle-preview"}, figure);
        make("div", {textContent: "\u2605 saved style " + chosen}, figure);
        zone.querySelector(".instantstyle-pictures").before(figure);
    }

    function showAll() {
        document.querySelectorAll(".instantstyle-drop[data-several]").forEach(show);
    }

    // The WebUI makes its cards once and keeps them.
    function refreshCards() {
        document.querySelectorAll('[id$="_style_message"]').forEach(function(message) {
            const text = message.textContent.trim();
            if (said.has(message) && said.get(message) !== text && CHANGED.test(text)) {
                document.querySelectorAll('[id$="_instantstyle_extra_refresh"]').forEach(
                    function(button) { button.click(); });
            }
            said.set(message, text);
        });
    }

    document.addEventListener("instantstyle-changed", function() {
        showAll();
        refreshCards();
    });

    function linkIn(id) {
        const place = document.getElementById(id);
        return place && place.querySelector("a[href]");
    }

    // The exported file, whose link Gradio draws a moment after the answer. That of a style that was
    // exported before may be the same.
    function download(id, before, tries) {
        const link = linkIn(id);
        const isNew = link && link.href !== before;
        const message = document.getElementById(id.replace(/file$/, "message"));
        const isRefused = message && message.querySelector(".instantstyle-problem");
        if (isNew || link && !tries && !isRefused) link.click();
        else if (tries) setTimeout(function() { download(id, before, tries - 1); }, PAUSE);
    }

    document.addEventListener("click", function(event) {
        const button = instantstyle.closest(event.target, '[id$="_style_export"]');
        if (!button) return;
        const id = button.id.replace(/export$/, "file"), link = linkIn(id);
        download(id, link ? link.href : "", TRIES);
    });

    return {name: name};
})();
