// What the WebUI is told beside the fields when it is asked for the state of the units, and the
// buttons that mend a state or change a unit after a result that does not look right.
instantstyle.states = (function() {
    "use strict";

    const BOXES = ["image", "negative_image", "mask", "reference_mask"];
    const NUMBERS = ["steps", "batch_size", "cfg_scale", "denoising_strength"];
    const COMPLAINTS = {
        weak: "Style too weak", strong: "Style too strong", content: "Content comes through",
        burnt: "Colours burn", nothing: "Nothing changed",
    };
    const make = instantstyle.make;
    const closest = instantstyle.closest;
    const requests = {}; // tab -> what the next press of the hidden button asks for

    function accordionOf(tab) {
        return document.getElementById("script_" + tab + "_instantstyle_enabled");
    }

    function tabOf(element) {
        const accordion = closest(element, '[id$="_instantstyle_enabled"]');
        const bar = closest(element, ".instantstyle-advice");
        return bar ? bar.dataset.tab : /^script_(\w+)_instantstyle_enabled$/.exec(accordion.id)[1];
    }

    function zoneOf(tab, number, name) {
        const id = "script_" + tab + "_instantstyle_unit_" + number + "_" + name;
        return document.querySelector('.instantstyle-drop[data-target="' + id + '"]');
    }

    // The boxes of one unit as they are shown; see page/states/facts.py.
    function boxes(tab, number) {
        const found = {};
        BOXES.forEach(function(name) {
            const zone = zoneOf(tab, number, name);
            const figures = zone ? zone.querySelectorAll(".instantstyle-picture") : [];
            found[name] = Array.from(figures, function(figure) {
                const picture = {weight: Number(figure.dataset.weight)};
                if (figure.dataset.gone) picture.gone = figure.dataset.gone;
                return picture;
            });
        });
        return found;
    }

    // What the WebUI's own controls say of the generation.
    function numbers(tab) {
        const found = {};
        NUMBERS.forEach(function(name) {
            const control = document.getElementById(tab + "_" + name);
            const box = control && control.querySelector("input[type=number]");
            if (box && box.value !== "") found[name] = Number(box.value);
        });
        return found;
    }

    function facts(tab) {
        const accordion = accordionOf(tab);
        const title = accordion && accordion.visibleCheckbox;
        const units = [];
        while (zoneOf(tab, units.length + 1, "image")) units.push(boxes(tab, units.length + 1));
        return JSON.stringify({tab: tab, on: Boolean(title && title.checked), units: units,
            numbers: numbers(tab)});
    }

    // The values of Gradio's event, with the facts in the place of the hidden box.
    function looked(tab, values) {
        return [facts(tab)].concat(values.slice(1));
    }

    function asked(tab, values) {
        const request = requests[tab];
        delete requests[tab];
        return [request || "", facts(tab)].concat(values.slice(2));
    }

    function ask(tab, request) {
        const button = document.getElementById("script_" + tab + "_instantstyle_act");
        if (!button) return;
        requests[tab] = JSON.stringify(request);
        button.click();
    }

    function sendToImg2img(tab) {
        const button = document.getElementById(tab + "_send_to_img2img");
        if (button) button.click();
    }

    function carryOut(element, request) {
        const tab = tabOf(element);
        const unit = "script_" + tab + "_instantstyle_unit_" + request.unit + "_";
        if (request.do === "on") {
            instantstyle.switches.turnOn(accordionOf(tab), unit + "enabled");
        } else if (request.do === "img2img") {
            sendToImg2img(tab);
        } else if (request.do === "download") {
            instantstyle.downloads.start(tab, request.files);
        } else if (request.do === "clear") {
            instantstyle.pictures.keep(zoneOf(tab, request.unit, request.picture), 0);
        } else if (request.do === "keep") {
            BOXES.forEach(function(name) {
                const isFirst = request.first && name === "image";
                const zone = zoneOf(tab, request.unit, name);
                if (zone) instantstyle.pictures.keep(zone, isFirst ? 1 : Infinity);
            });
        } else {
            ask(tab, request);
        }
    }

    // Under the picture: a row of buttons for each unit that acted in it, or that should have.
    function units(tab, text) {
        const found = Array.from(text.matchAll(/InstantStyle (\d+): /g), function(match) {
            return Number(match[1]);
        });
        const wanted = instantstyle.switches.numbers(accordionOf(tab));
        return Array.from(new Set(found.concat(wanted)))
            .filter(function(number) { return zoneOf(tab, number, "image"); })
            .sort(function(a, b) { return a - b; });
    }

    function advise(tab) {
        const info = document.getElementById("html_info_" + tab);
        if (!info || !info.parentElement || !accordionOf(tab)) return;
        const text = info.textContent;
        const numbers = text.includes("Steps: ") ? units(tab, text) : [];
        let bar = document.getElementById("instantstyle_advice_" + tab);
        if (!bar && numbers.length) {
            bar = make("div", {id: "instantstyle_advice_" + tab, className: "instantstyle-advice"});
            bar.dataset.tab = tab;
            info.parentElement.after(bar);
        }
        if (bar && bar.dataset.units !== String(numbers)) draw(bar, numbers);
        if (bar) showMessage(bar, tab);
    }

    function draw(bar, numbers) {
        bar.dataset.units = String(numbers);
        bar.replaceChildren();
        numbers.forEach(function(number) {
            const row = make("div", {className: "instantstyle-advice-row"}, bar);
            const title = numbers.length > 1 ? "InstantStyle, unit " + number + ":" : "InstantStyle:";
            make("span", {textContent: title}, row);
            Object.keys(COMPLAINTS).forEach(function(complaint) {
                const button = make("button", {type: "button", textContent: COMPLAINTS[complaint],
                    className: "instantstyle-button instantstyle-repair",
                    title: "Change the settings of the unit for the next picture"}, row);
                button.dataset.request = JSON.stringify({do: complaint, unit: number});
            });
        });
        if (numbers.length) {
            make("div", {className: "instantstyle-advice-said", role: "status"}, bar);
        }
    }

    // What was changed, and its undo, come from the WebUI.
    function showMessage(bar, tab) {
        const line = bar.querySelector(".instantstyle-advice-said");
        const accordion = accordionOf(tab);
        const message = accordion.querySelector('[id$="_instantstyle_advised"] .instantstyle-advised, ' +
            '[id$="_instantstyle_advised"] .instantstyle-problem');
        const shown = message ? message.outerHTML : "";
        if (!line || line.dataset.shown === shown) return;
        line.dataset.shown = shown;
        line.replaceChildren();
        if (message) line.appendChild(message.cloneNode(true));
    }

    document.addEventListener("click", function(event) {
        const button = closest(event.target, ".instantstyle-repair");
        if (button) carryOut(button, JSON.parse(button.dataset.request));
    });

    document.addEventListener("instantstyle-changed", function() {
        ["txt2img", "img2img"].forEach(advise);
    });

    return {facts: facts, looked: looked, asked: asked, ask: ask};
})();
