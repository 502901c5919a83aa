// The block map: the UNet as its transformers, down, middle and up, each with its role and weight.
//
// What there is to draw comes with the unit's status, from the WebUI. Clicking, dragging and typing
// write the unit's "Block weights"; the WebUI then answers with a new status, which is drawn.
// By keyboard the map is one stop: left and right go from bar to bar, the other keys change a weight.
(function() {
    "use strict";

    const TOP = 2; // the weight at a bar's upper end; typed ones may go beyond
    const LIMIT = 10;
    const STEP = 0.05;
    const PARTS = {down: "Down", middle: "Middle", up: "Up"};
    const drawn = new WeakMap(); // map -> the data that it shows
    const make = instantstyle.make;
    const closest = instantstyle.closest;
    let drag = null;

    function dataOf(map) {
        const status = document.querySelector("#" + map.dataset.status + " .instantstyle-status");
        return status ? status.dataset.map : "null";
    }

    function text(number) {
        return String(Math.round(number * 1000) / 1000);
    }

    function draw(map) {
        const data = dataOf(map);
        if (drag && drag.map === map || drawn.get(map) === data) return;
        if (map.contains(document.activeElement) && map.dataset.typing) return;
        drawn.set(map, data);
        const focused = map.contains(document.activeElement) ?
            document.activeElement.dataset.place : undefined;
        const shown = JSON.parse(data);
        map.replaceChildren();
        map.classList.toggle("instantstyle-without", !shown);
        if (!shown) return;
        const parts = make("div", {
            className: "instantstyle-parts", role: "group", ariaLabel: "Weights of the blocks",
        }, map);
        Object.keys(PARTS).forEach(function(part) {
            const group = make("div", {className: "instantstyle-part"}, parts);
            const count = shown.blocks.filter(function(block) {
                return block.part === part;
            }).length;
            group.style.flexGrow = count;
            group.style.setProperty("--blocks", count);
            const row = make("div", {className: "instantstyle-bars"}, group);
            shown.blocks.forEach(function(block, index) {
                if (block.part === part) bar(row, block, index);
            });
            roles(group, shown.blocks.filter(function(block) { return block.part === part; }));
            make("div", {className: "instantstyle-part-name", textContent: PARTS[part]}, group);
        });
        heading(map, shown);
        const stop = tracks(map).find(function(track) {
            return track.dataset.place === map.dataset.stop;
        });
        stopAt(map, stop || tracks(map)[0]);
        if (focused !== undefined) {
            const again = map.querySelector('[data-place="' + focused + '"]');
            if (again) again.focus();
        }
    }

    // The bars that can be set, in the order in which they stand.
    function tracks(map) {
        return Array.from(map.querySelectorAll(".instantstyle-track[role]"));
    }

    // The one bar that Tab goes to.
    function stopAt(map, stop) {
        tracks(map).forEach(function(track) { track.tabIndex = track === stop ? 0 : -1; });
        if (stop) map.dataset.stop = stop.dataset.place;
    }

    function heading(map, shown) {
        const head = make("div", {className: "instantstyle-map-head"}, map);
        const what = shown.own ? "own block weights" : "preset " + shown.preset;
        const same = shown.own && shown.preset ? ", the same as preset " + shown.preset : "";
        const summary = shown.summary ? ". " + shown.summary + "." : "";
        make("span", {textContent: shown.title + ": " + what + same + summary}, head);
        if (shown.own) {
            make("button", {
                type: "button", className: "instantstyle-button instantstyle-reset",
                textContent: "Back to the preset",
            }, head);
        }
    }

    // Under the bars, what neighbours of one role carry, said once.
    function roles(group, blocks) {
        const row = make("div", {className: "instantstyle-bars"}, group);
        let label = null;
        blocks.forEach(function(block, index) {
            if (index === 0 || block.role !== blocks[index - 1].role) {
                const kind = block.role ? " instantstyle-role-" + block.role : "";
                label = make("div", {
                    className: "instantstyle-role" + kind, textContent: block.role,
                }, row);
                label.style.flexGrow = 0;
            }
            label.style.flexGrow = Number(label.style.flexGrow) + 1;
        });
    }

    function bar(row, block, index) {
        const cell = make("div", {className: "instantstyle-cell"}, row);
        cell.dataset.index = index;
        cell.dataset.name = block.name;
        if (block.role) cell.classList.add("instantstyle-role-" + block.role);
        if (block.swapped) cell.classList.add("instantstyle-swapped");
        const reason = block.lacking ? "; the " + block.lacking + " does not have it" : "";
        const role = block.role ? "; carries the " + block.role : "";
        const turned = block.swapped ? "; guidance moves away from it" : "";
        cell.title = block.name + " (" + index + ")" + role + turned + reason;
        const track = make("div", {className: "instantstyle-track"}, cell);
        make("div", {className: "instantstyle-level"}, track);
        const input = make("input", {
            type: "text", inputMode: "decimal", className: "instantstyle-own",
            ariaLabel: "Weight of " + block.name,
        }, cell);
        input.dataset.place = "input" + index;
        input.tabIndex = -1; // the bar is set by keys
        if (block.lacking) {
            cell.classList.add("instantstyle-lacking");
            input.disabled = true;
        } else {
            track.dataset.place = "track" + index;
            track.setAttribute("role", "slider");
            track.setAttribute("aria-label", block.name);
            track.setAttribute("aria-orientation", "vertical");
            track.setAttribute("aria-valuemin", -LIMIT);
            track.setAttribute("aria-valuemax", LIMIT);
        }
        setCell(cell, block.factor);
    }

    function setCell(cell, weight) {
        const height = Math.min(Math.abs(weight) / TOP, 1) * 100;
        const track = cell.querySelector(".instantstyle-track");
        cell.dataset.weight = weight;
        cell.classList.toggle("instantstyle-lit", weight !== 0);
        cell.classList.toggle("instantstyle-negative", weight < 0);
        cell.querySelector(".instantstyle-level").style.height = height + "%";
        cell.querySelector(".instantstyle-own").value = text(weight);
        if (track.hasAttribute("role")) track.setAttribute("aria-valuenow", text(weight));
    }

    // All weights of the map as the text of "Block weights", which the WebUI reads.
    function write(map) {
        const box = instantstyle.textBox(map.dataset.blocks);
        const shown = JSON.parse(dataOf(map));
        if (!box || !shown) return;
        const entries = [];
        map.querySelectorAll(".instantstyle-cell").forEach(function(cell) {
            const weight = Number(cell.dataset.weight);
            const name = shown.blocks[Number(cell.dataset.index)].name;
            if (weight) entries.push([Number(cell.dataset.index), name + "=" + text(weight)]);
        });
        entries.sort(function(a, b) { return a[0] - b[0]; });
        const weights = entries.map(function(entry) { return entry[1]; }).join("; ");
        map.dataset.written = weights || "*=0";
        instantstyle.setText(box, map.dataset.written);
    }

    // Whether preset or block weights are no longer those that the map shows: the WebUI has been
    // asked, and a click would bring the old weights back.
    function isStale(map) {
        const box = instantstyle.textBox(map.dataset.blocks);
        const preset = instantstyle.textBox(map.dataset.blocks.replace(/blocks$/, "preset"));
        if (!box) return true;
        const status = document.querySelector("#" + map.dataset.status + " .instantstyle-status");
        const given = status ? JSON.parse(status.dataset.for || "[]") : [];
        const written = box.value === given[1] || box.value === map.dataset.written;
        return !written || (preset && preset.value !== given[0]);
    }

    function change(cell, weight) {
        if (isStale(cell.closest(".instantstyle-map"))) return;
        setCell(cell, Math.max(-LIMIT, Math.min(LIMIT, weight)));
        write(cell.closest(".instantstyle-map"));
    }

    function cellOf(element) {
        const cell = closest(element, ".instantstyle-cell");
        return cell && !cell.classList.contains("instantstyle-lacking") ? cell : null;
    }

    function weightAt(track, y) {
        const box = track.getBoundingClientRect();
        const share = (box.bottom - y) / box.height;
        return Math.round(Math.max(0, Math.min(1, share)) * TOP / STEP) * STEP;
    }

    document.addEventListener("pointerdown", function(event) {
        const track = closest(event.target, ".instantstyle-track");
        const cell = track && cellOf(track);
        if (!cell || event.button !== 0 || isStale(cell.closest(".instantstyle-map"))) return;
        drag = {cell: cell, track: track, map: cell.closest(".instantstyle-map"),
            from: [event.clientX, event.clientY], moved: false,
            byTouch: event.pointerType === "touch"};
    });

    document.addEventListener("pointermove", function(event) {
        if (!drag) return;
        const across = drag.byTouch ? event.clientX - drag.from[0] : 0;
        if (!drag.moved && Math.hypot(across, event.clientY - drag.from[1]) < 4) return;
        if (drag.byTouch) { // a finger that moves scrolls the page
            drag = null;
            return;
        }
        drag.moved = true;
        event.preventDefault();
        setCell(drag.cell, weightAt(drag.track, event.clientY));
    });

    function drop(event) {
        if (!drag) return;
        const done = drag;
        drag = null;
        if (event.type === "pointercancel") {
            drawn.delete(done.map);
            draw(done.map);
        } else if (done.moved) {
            write(done.map);
        } else { // a click: on with weight 1, or off
            change(done.cell, Number(done.cell.dataset.weight) ? 0 : 1);
        }
    }
    document.addEventListener("pointerup", drop);
    document.addEventListener("pointercancel", drop);

    document.addEventListener("keydown", function(event) {
        const track = closest(event.target, ".instantstyle-track");
        const cell = track && cellOf(track);
        if (!cell) return;
        const weight = Number(cell.dataset.weight);
        const beside = {ArrowLeft: -1, ArrowRight: 1}[event.key];
        if (beside) {
            const all = tracks(cell.closest(".instantstyle-map"));
            const other = all[all.indexOf(track) + beside];
            event.preventDefault();
            if (other) other.focus();
            return;
        }
        const next = {ArrowUp: weight + STEP, ArrowDown: weight - STEP, PageUp: weight + 0.5,
            PageDown: weight - 0.5, Home: 0, End: 1, Enter: weight ? 0 : 1,
            " ": weight ? 0 : 1}[event.key];
        if (next === undefined) return;
        event.preventDefault();
        change(cell, Number(next.toFixed(3)));
    });

    document.addEventListener("focusin", function(event) {
        const track = closest(event.target, ".instantstyle-track");
        if (track) stopAt(track.closest(".instantstyle-map"), track);
        const typing = event.target.matches && event.target.matches(".instantstyle-own");
        const map = typing && event.target.closest(".instantstyle-map");
        if (map) map.dataset.typing = "yes";
    });

    document.addEventListener("focusout", function(event) {
        const map = closest(event.target, ".instantstyle-map");
        if (map) delete map.dataset.typing;
    });

    document.addEventListener("change", function(event) {
        if (!event.target.matches || !event.target.matches(".instantstyle-own")) return;
        const cell = cellOf(event.target);
        const weight = Number(event.target.value.replace(",", "."));
        if (!cell) return;
        if (Number.isFinite(weight)) {
            change(cell, weight);
        } else {
            setCell(cell, Number(cell.dataset.weight));
        }
    });

    document.addEventListener("click", function(event) {
        const map = closest(closest(event.target, ".instantstyle-reset"), ".instantstyle-map");
        const box = map && instantstyle.textBox(map.dataset.blocks);
        if (box) instantstyle.setText(box, "");
    });

    document.addEventListener("instantstyle-changed", function() {
        document.querySelectorAll(".instantstyle-map").forEach(draw);
    });
})();
