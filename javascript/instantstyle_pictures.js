// The boxes for pictures: what is dropped, pasted or chosen becomes text in a hidden box beside it,
// or a sentence in the box that says why it does not.
//
// One picture is its data URL; several, or one with a weight of its own, are a JSON list of
// {"image", "weight"}. Events are delegated from the document, so nothing has to be bound again
// when the page is rebuilt, and both versions of Gradio are served alike.
instantstyle.pictures = (function() {
    "use strict";

    const MOST = 16; // pictures in one unit
    const MOST_WEIGHT = 10; // of one picture beside the others
    const NAME = 24; // characters of a file's name
    const GONE = "gone:"; // and a hash, where a picture of an infotext is not here
    const drawn = new WeakMap(); // zone -> the text that it shows
    const names = new Map(); // the text of a picture -> the name of its file
    const make = instantstyle.make;
    const closest = instantstyle.closest;
    const arrivals = instantstyle.arrivals;

    function zoneOf(element) {
        return closest(element, ".instantstyle-drop");
    }

    function zoneFor(target) {
        return document.querySelector('.instantstyle-drop[data-target="' + target + '"]');
    }

    function textBox(zone) {
        return instantstyle.textBox(zone.dataset.target);
    }

    function references(text) {
        if (!text) return [];
        if (!text.startsWith("[")) return [{image: text, weight: 1}];
        try {
            return JSON.parse(text);
        } catch (error) {
            return [];
        }
    }

    function write(zone, list) {
        const box = textBox(zone);
        if (!box) return;
        const bare = list.length === 1 && Number(list[0].weight) === 1;
        const text = list.length === 0 ? "" : bare ? list[0].image : JSON.stringify(list);
        instantstyle.setText(box, text);
        show(zone, box.value);
    }

    // Like `write`, by hand: what was there can be had back until the next picture comes.
    function replace(zone, list) {
        const before = textBox(zone).value;
        write(zone, list);
        instantstyle.offerUndo(zone.querySelector(".instantstyle-refused"), function() {
            instantstyle.setText(textBox(zone), before);
            show(zone, before);
        });
    }

    function remember(text, name) {
        names.delete(text);
        names.set(text, name.replace(/\.[^.]*$/, "").slice(0, NAME));
        if (names.size > 64) names.delete(names.keys().next().value);
    }

    function show(zone, text) {
        if (drawn.get(zone) === text) return;
        drawn.set(zone, text);
        const active = document.activeElement;
        const wasFocused = zone.contains(active);
        say(zone, "");
        const list = references(text);
        const typed = active && active.matches(".instantstyle-weight") && zone.contains(active) ?
            placeOf(active) : null; // drawing anew must not take the focus away
        const several = "several" in zone.dataset;
        const pictures = zone.querySelector(".instantstyle-pictures");
        pictures.replaceChildren();
        list.forEach(function(reference, index) {
            const figure = make("div", {className: "instantstyle-picture"}, pictures);
            figure.dataset.index = index;
            figure.dataset.weight = Number(reference.weight);
            const given = reference.image || "";
            figure.dataset.name = names.get(given) || "";
            if (given.startsWith(GONE)) lost(figure, given.slice(GONE.length));
            else make("img", {
                className: "instantstyle-preview", alt: "Picture " + (index + 1),
                src: given.startsWith("data:") ? given : "data:image/png;base64," + given,
            }, figure);
            make("button", {
                type: "button", className: "instantstyle-clear", textContent: "\u00d7",
                title: "Remove this picture", ariaLabel: "Remove this picture",
            }, figure);
            if (several && list.length > 1) {
                const weight = make("label", {
                    className: "instantstyle-weight-of", textContent: "weight",
                    title: "How much this picture counts beside the others",
                }, figure);
                make("input", {
                    type: "number", className: "instantstyle-weight", step: 0.1,
                    min: -MOST_WEIGHT, max: MOST_WEIGHT,
                    value: reference.weight, ariaLabel: "Weight of picture " + (index + 1),
                }, weight);
            }
        });
        zone.classList.toggle("instantstyle-full", list.length > 0);
        zone.classList.toggle("instantstyle-many", list.length > 1);
        const hint = zone.querySelector(".instantstyle-hint");
        hint.querySelector("span").hidden = list.length > 0;
        const title = hint.querySelector("b");
        title.dataset.empty = title.dataset.empty || title.textContent;
        title.textContent = list.length && several ? "+ another picture" : title.dataset.empty;
        const again = zone.querySelectorAll(".instantstyle-weight")[typed];
        if (typed !== null && again) again.focus();
        // What had the focus may be gone: it stays in the box, for the next key or paste.
        if (wasFocused && !zone.contains(document.activeElement)) hint.focus({preventScroll: true});
    }

    // A pasted infotext names a picture that is not here; a generation refuses it.
    function lost(figure, hash) {
        figure.classList.add("instantstyle-lost");
        figure.dataset.gone = hash;
        make("div", {textContent: "The picture " + hash + " of the infotext is not here. Drop it again."},
            figure);
    }

    // One line in the box; "" takes the last one away.
    function say(zone, sentence) {
        const line = zone.querySelector(".instantstyle-refused");
        line.classList.remove("instantstyle-removed");
        line.textContent = sentence;
        line.hidden = !sentence;
    }

    // A picture that lands on another takes its place; elsewhere it is added.
    async function take(zone, entries, place) {
        say(zone, "");
        const several = "several" in zone.dataset;
        const most = several ? MOST : 1;
        zone.classList.add("instantstyle-working"); // a large file takes seconds
        const found = await arrivals.read(entries, most).finally(function() {
            zone.classList.remove("instantstyle-working");
        });
        const added = found.texts.map(function(image) { return {image: image, weight: 1}; });
        let list = several ? references(textBox(zone).value) : [];
        if (place === null) place = firstLost(list);
        if (added.length) {
            if (place !== null && place < list.length) {
                added[0].weight = list[place].weight;
                list.splice(place, 1, ...added);
            } else {
                list.push(...added);
            }
            found.left += Math.max(0, list.length - most);
            list = list.slice(0, most);
            added.forEach(function(each, i) {
                remember(each.image, found.names[i]);
            });
            write(zone, list);
            const unit = /^(.*_)image$/.exec(zone.dataset.target);
            if (unit) instantstyle.switches.turnOn(zone, unit[1] + "enabled");
        }
        say(zone, arrivals.sentence(found.refused, found.left, most));
    }

    // A dropped picture takes the place of one that is not kept.
    function firstLost(list) {
        const place = list.findIndex(function(each) { return (each.image || "").startsWith(GONE); });
        return place < 0 ? null : place;
    }

    function placeOf(element) {
        const figure = closest(element, ".instantstyle-picture");
        return figure ? Number(figure.dataset.index) : null;
    }

    // Take away the picture in this place; -1 is the last.
    function without(zone, place) {
        const list = references(textBox(zone).value);
        list.splice(place, 1);
        replace(zone, list);
    }

    // Keep the first pictures, so many of them; those that are lost go in any case.
    function keep(zone, count) {
        const all = references(textBox(zone).value);
        const list = all.filter(function(each) {
            return !(each.image || "").startsWith(GONE);
        }).slice(0, count);
        if (list.length < all.length) replace(zone, list);
    }

    async function takeFromGallery(button) {
        const address = instantstyle.pictureIn(button.dataset.gallery);
        const zone = zoneFor(button.dataset.target);
        if (!address || !zone) {
            button.title = "There is no picture yet";
            button.classList.add("instantstyle-nothing");
            setTimeout(function() { button.classList.remove("instantstyle-nothing"); }, 1000);
            return;
        }
        await take(zone, [arrivals.addressed(address)], null);
    }

    function choose(zone, place) {
        const input = zone.querySelector("input[type=file]");
        input.dataset.place = place === null ? "" : place;
        input.click();
    }

    document.addEventListener("dragover", function(event) {
        const zone = zoneOf(event.target);
        if (!zone) return;
        event.preventDefault();
        event.stopPropagation();
        zone.classList.add("instantstyle-over");
    }, true);

    document.addEventListener("dragleave", function(event) {
        const zone = zoneOf(event.target);
        if (zone) zone.classList.remove("instantstyle-over");
    }, true);

    // Capturing, and stopped there: the WebUI would take a dropped picture for its prompt or its
    // own image boxes.
    document.addEventListener("drop", function(event) {
        const zone = zoneOf(event.target);
        if (!zone) return;
        event.preventDefault();
        event.stopPropagation();
        zone.classList.remove("instantstyle-over");
        take(zone, arrivals.entries(arrivals.of(event.dataTransfer)), placeOf(event.target));
    }, true);

    document.addEventListener("paste", function(event) {
        const zone = zoneOf(document.activeElement);
        if (!zone) return;
        const found = arrivals.of(event.clipboardData);
        const typesHere = document.activeElement.matches("input"); // a weight: text is for it
        if (typesHere && !found.files.length) return;
        event.preventDefault();
        event.stopPropagation();
        take(zone, arrivals.entries(found), null);
    }, true);

    document.addEventListener("click", function(event) {
        const button = closest(event.target, ".instantstyle-button[data-gallery]");
        if (button) takeFromGallery(button);
        const zone = zoneOf(event.target);
        if (!zone) return;
        if (closest(event.target, ".instantstyle-clear")) {
            without(zone, placeOf(event.target));
        } else if (!closest(event.target, "input, label")) {
            choose(zone, placeOf(event.target));
        }
    });

    document.addEventListener("keydown", function(event) {
        const zone = zoneOf(closest(event.target, ".instantstyle-hint"));
        if (!zone || event.key !== "Delete" && event.key !== "Backspace") return;
        event.preventDefault();
        if (references(textBox(zone).value).length) without(zone, -1);
    });

    document.addEventListener("change", function(event) {
        const zone = zoneOf(event.target);
        if (!zone) return;
        if (event.target.matches(".instantstyle-weight")) {
            const list = references(textBox(zone).value);
            const weight = Number(event.target.value) || 0;
            list[placeOf(event.target)].weight = Math.max(-MOST_WEIGHT, Math.min(MOST_WEIGHT, weight));
            write(zone, list);
        } else if (event.target.matches("input[type=file]")) {
            const place = event.target.dataset.place;
            const entries = arrivals.chosen(event.target.files);
            take(zone, entries, place ? Number(place) : null).then(function() {
                event.target.value = ""; // so that choosing the same file again is a change
            });
        }
    });

    // The text may also come from elsewhere: "Send to img2img", or the page's saved state.
    document.addEventListener("instantstyle-changed", function() {
        document.querySelectorAll(".instantstyle-drop").forEach(function(zone) {
            const box = textBox(zone);
            if (box) show(zone, box.value);
        });
    });

    // The pictures in the opposite order.
    function turn(zone) {
        write(zone, references(textBox(zone).value).reverse());
    }

    return {keep: keep, turn: turn};
})();
