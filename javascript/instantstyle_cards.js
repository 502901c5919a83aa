// The usual presets as cards above the block map, each with a small picture of its weights.
//
// They come with the unit's status, like the map. A card sets the preset and takes own block
// weights back; the list of all presets stays where it is.
(function() {
    "use strict";

    const make = instantstyle.make;
    const drawn = new WeakMap(); // row of cards -> the text that it shows
    const ID = /^script_(\w+?)_instantstyle_unit_(\d+)_/;

    function dataOf(row) {
        const status = document.querySelector("#" + row.dataset.status + " .instantstyle-status");
        return status ? status.dataset.map || "null" : "null";
    }

    function choose(row, name) {
        const found = ID.exec(row.dataset.status);
        if (!found) return;
        instantstyle.states.ask(found[1],
            {do: "set", unit: Number(found[2]), values: {preset: name, blocks: ""}});
    }

    function card(row, each, isChosen) {
        const button = make("button", {type: "button", title: each.summary,
            className: "instantstyle-button instantstyle-card"}, row);
        button.dataset.preset = each.name;
        button.setAttribute("aria-pressed", String(isChosen));
        const bars = make("span", {className: "instantstyle-card-bars", ariaHidden: "true"}, button);
        each.bars.forEach(function(weight, index) {
            const bar = make("span", {}, bars);
            bar.style.height = Math.min(Math.abs(weight), 1) * 100 + "%";
            bar.classList.toggle("instantstyle-card-lit", weight !== 0);
            bar.classList.toggle("instantstyle-away", each.away.includes(index));
        });
        make("span", {textContent: each.name}, button);
        button.addEventListener("click", function() { choose(row, each.name); });
        return button;
    }

    function show(row) {
        const text = dataOf(row);
        if (drawn.get(row) === text) return;
        drawn.set(row, text);
        const focused = row.contains(document.activeElement) &&
            document.activeElement.dataset.preset;
        const data = JSON.parse(text);
        row.replaceChildren();
        row.hidden = !data;
        if (!data) return;
        data.cards.forEach(function(each) {
            const button = card(row, each, !data.own && each.name === data.preset);
            if (each.name === focused) button.focus();
        });
        if (data.own) {
            make("span", {className: "instantstyle-card instantstyle-card-own",
                textContent: "own weights"}, row);
        }
    }

    // The row stands before the component of the map, which is one stop for the keyboard.
    function rowOf(map) {
        const id = map.dataset.status.replace(/status$/, "map"); // Gradio may give it to two, nested
        const component = document.getElementById(id);
        if (!component) return null;
        const before = component.previousElementSibling;
        if (before && before.classList.contains("instantstyle-cards")) return before;
        const row = make("div", {className: "instantstyle-cards", hidden: true});
        row.setAttribute("role", "group");
        row.setAttribute("aria-label", "Presets");
        row.dataset.status = map.dataset.status;
        component.before(row);
        return row;
    }

    document.addEventListener("instantstyle-changed", function() {
        document.querySelectorAll(".instantstyle-map").forEach(function(map) {
            const row = rowOf(map);
            if (row) show(row);
        });
    });
})();
