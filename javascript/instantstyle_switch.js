// The accordion's switch. It is what the tick in the title says, and folding never changes it; the
// title says what will act.
instantstyle.switches = (function() {
    "use strict";

    const make = instantstyle.make;
    const free = new WeakSet(); // accordions whose tick is no longer tied to folding
    const byHand = new WeakSet(); // accordions whose tick was clicked since it was last looked at
    const was = new WeakMap(); // accordion -> its tick when it was last looked at

    function accordions() {
        return Array.from(document.querySelectorAll('[id$="_instantstyle_enabled"]'));
    }

    // The WebUI ticks an accordion when it is opened and takes the tick away when it is folded,
    // until somebody clicks the tick. An event like a click ends this, and moves no tick.
    function setFree(accordion) {
        const box = accordion.visibleCheckbox;
        if (!box || free.has(accordion)) return;
        free.add(accordion);
        box.dispatchEvent(new Event("click"));
        box.addEventListener("click", function() { byHand.add(accordion); });
    }

    // Pasted infotext that switches on also opens, so that what could not be taken over is seen. A
    // tick by hand, and a dropped picture, open nothing.
    function openWhenPasted(accordion) {
        const box = accordion.visibleCheckbox;
        if (!box || was.get(accordion) === box.checked) return;
        const label = accordion.querySelector(".label-wrap");
        const isPasted = was.has(accordion) && box.checked && !byHand.has(accordion);
        was.set(accordion, box.checked);
        byHand.delete(accordion);
        if (isPasted && !label.classList.contains("open")) label.click();
    }

    // Tick the title above `element`, and the unit `id`: whoever drops a picture wants both.
    function turnOn(element, id) {
        const accordion = element.closest('[id$="_instantstyle_enabled"]');
        const title = accordion && accordion.visibleCheckbox;
        if (title && !title.checked) title.click();
        const unit = document.getElementById(id);
        const box = unit && unit.querySelector("input[type=checkbox]");
        if (box && !box.checked) box.click();
    }

    function value(unit, name) {
        const box = instantstyle.textBox(unit + name);
        return box ? box.value : "";
    }

    // The pictures that a box shows; see instantstyle_pictures.js.
    function pictures(unit, name) {
        const zone = document.querySelector(
            '.instantstyle-drop[data-target="' + CSS.escape(unit + name) + '"]');
        return zone ? zone.querySelectorAll(".instantstyle-picture") : [];
    }

    // What a unit takes its style from, in a few words; "" if from nothing.
    function source(unit) {
        const given = pictures(unit, "image");
        if (given.length && given[0].dataset.gone) return "reference missing";
        if (given.length > 1) return given.length + " pictures";
        if (given.length) return given[0].dataset.name || "a picture";
        const lora = document.getElementById(unit + "lora");
        const hasLora = lora && !lora.closest(".instantstyle-unneeded");
        return value(unit, "style") || (hasLora ? value(unit, "lora") : "");
    }

    // Such as "coffee 0.8, region"; "" for a unit that is off or has nothing.
    function described(unit) {
        const box = document.querySelector("#" + CSS.escape(unit + "enabled") + " input[type=checkbox]");
        const from = source(unit);
        if (!box || !box.checked || !from) return "";
        const weight = Number(value(unit, "weight"));
        const parts = [weight === 1 ? from : from + " " + value(unit, "weight")];
        if (pictures(unit, "mask").length) parts.push("region");
        return parts.join(", ");
    }

    // The units that have something to act with, as {number, text}.
    function acting(accordion) {
        return Array.from(accordion.querySelectorAll('[id$="_enabled"]'))
            .map(function(each) { return /^(.*_unit_(\d+)_)enabled$/.exec(each.id); })
            .filter(Boolean)
            .map(function(found) { return {number: found[2], text: described(found[1])}; })
            .filter(function(unit) { return unit.text; });
    }

    function summary(accordion) {
        const units = acting(accordion)
            .map(function(unit) { return "(" + unit.number + ") " + unit.text; });
        if (!units.length) return "";
        const ticked = accordion.visibleCheckbox && accordion.visibleCheckbox.checked;
        return (ticked ? "" : "off: ") + units.join(" ");
    }

    function show(accordion) {
        const title = accordion.querySelector(".label-wrap > span");
        if (!title) return;
        const line = title.querySelector(".instantstyle-summary") ||
            make("span", {className: "instantstyle-summary"}, title);
        const text = summary(accordion);
        if (line.textContent !== text) line.textContent = text;
    }

    function showAll() {
        accordions().forEach(function(accordion) {
            setFree(accordion);
            openWhenPasted(accordion);
            show(accordion);
        });
    }

    document.addEventListener("instantstyle-changed", showAll);
    ["input", "change", "click"].forEach(function(kind) {
        document.addEventListener(kind, function(event) {
            const accordion = instantstyle.closest(event.target, '[id$="_instantstyle_enabled"]');
            if (accordion) setTimeout(showAll);
        });
    });

    function numbers(accordion) {
        return acting(accordion).map(function(unit) { return Number(unit.number); });
    }

    return {turnOn: turnOn, numbers: numbers};
})();
