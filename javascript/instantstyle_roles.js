// What a reference gives: everything, its colours, or its texture; a list on each picture of a unit.
//
// The unit's field `combine` holds it: the first of two pictures gives the colours, the second the
// texture.
(function() {
    "use strict";

    const ROLES = {both: "everything", colour: "colours", texture: "texture"};
    const APART = "colour + texture"; // of the field combine
    const USUAL = "concat"; // its default
    const make = instantstyle.make;

    function unitOf(zone) {
        const found = /^script_(\w+?)_instantstyle_unit_(\d+)_image$/.exec(zone.dataset.target);
        return found && {tab: found[1], number: Number(found[2])};
    }

    // The field of the unit, if its method has it.
    function combineOf(zone) {
        const box = instantstyle.textBox(zone.dataset.target.replace(/image$/, "combine"));
        return box && !box.closest(".instantstyle-unneeded") ? box : null;
    }

    function roleOf(combine, place, count) {
        if (combine === APART && count === 2) return place === 0 ? "colour" : "texture";
        if (combine === APART) return place === 0 ? "colour" : "both";
        return place === 0 && ROLES[combine] ? combine : "both"; // a field that fits is to be seen
    }

    // Two pictures share the sides: what one gives the other does not.
    function choose(zone, place, count, role) {
        const unit = unitOf(zone);
        let combine = role === "both" ? USUAL : role;
        if (role !== "both" && count === 2) {
            combine = APART;
            if ((role === "colour") !== (place === 0)) instantstyle.pictures.turn(zone);
        }
        instantstyle.states.ask(unit.tab,
            {do: "set", unit: unit.number, values: {combine: combine}});
    }

    function show(zone) {
        const figures = Array.from(zone.querySelectorAll(".instantstyle-picture"));
        const combine = unitOf(zone) && combineOf(zone);
        figures.forEach(function(figure, place) {
            let list = figure.querySelector("select");
            // Beside a saved style, the style's file says which side it gives.
            const isOffered = Boolean(combine) && figures.length < 3 && !figure.dataset.gone &&
                !zone.dataset.style;
            if (!isOffered) {
                if (list) list.parentElement.remove();
                return;
            }
            if (!list) {
                const label = make("label", {className: "instantstyle-role-of",
                    title: "What of this picture is taken"}, figure);
                list = make("select", {ariaLabel: "What is taken of picture " + (place + 1)}, label);
                Object.keys(ROLES).forEach(function(role) {
                    make("option", {value: role, textContent: ROLES[role]}, list);
                });
                list.addEventListener("change", function() {
                    choose(zone, place, figures.length, list.value);
                });
            }
            const role = roleOf(combine.value, place, figures.length);
            if (document.activeElement !== list && list.value !== role) list.value = role;
        });
    }

    document.addEventListener("instantstyle-changed", function() {
        document.querySelectorAll(".instantstyle-drop[data-several]").forEach(show);
    });
})();
