// The units of an accordion: which are on, which sliders their preset needs, and when to ask what
// they will do. Nothing is asked before the accordion is opened.
(function() {
    "use strict";

    const PAUSE = 300; // milliseconds without a change before the WebUI is asked
    const READING = 400; // milliseconds between two questions how far the words are read
    const LOST = 10000; // milliseconds after which an answer is not waited for any more
    const TRIES = 3; // at an answer
    const asked = new WeakMap(); // accordion -> its last question
    const outdated = new WeakSet(); // accordions whose status may be wrong with the same values
    const opened = new WeakSet(); // accordions that were open when last looked at
    const made = new WeakMap(); // accordion -> the infotext under the gallery of its tab
    const filled = new WeakSet(); // accordions whose lists of files are there
    const closest = instantstyle.closest;
    let timer = null;
    let following = null; // timer while words are read
    let begun = false; // whether their place was seen

    function accordions() {
        return document.querySelectorAll(
            "#script_txt2img_instantstyle_enabled, #script_img2img_instantstyle_enabled");
    }

    function press(accordion, name) {
        const button = accordion.querySelector('[id$="_instantstyle_' + name + '"]');
        if (button) button.click();
        return Boolean(button);
    }

    function isOpen(accordion) {
        const zones = accordion.querySelectorAll(".instantstyle-drop");
        return Array.from(zones).some(function(zone) { return zone.offsetParent !== null; });
    }

    // An open list shows what is typed, not yet what is chosen. Closing it has us ask again.
    function isChoosing(accordion) {
        return accordion.querySelector("ul.options") !== null;
    }

    // Every value that a status depends on, and the checkpoint; never the text of a picture.
    function values(accordion) {
        const fields = accordion.querySelectorAll(
            "input:not([type=file]):not(.instantstyle-own), textarea");
        const entered = Array.from(fields).filter(function(field) {
            return !field.closest(".instantstyle-hidden, .instantstyle-drop");
        }).map(function(field) {
            return field.type === "checkbox" ? field.checked : field.value;
        });
        const checkpoint = window.opts ? window.opts.sd_model_checkpoint : "";
        const tab = /^script_(\w+)_instantstyle_enabled$/.exec(accordion.id)[1];
        return JSON.stringify([entered, checkpoint, instantstyle.states.facts(tab)]);
    }

    function answerIn(accordion) {
        const answer = accordion.querySelector('[id$="_status"] [data-answer]');
        return answer ? answer.dataset.answer : "";
    }

    // One question at a time: Gradio drops one that comes while another is open, or lets its answer
    // be overtaken by an older one.
    function look(accordion) {
        const now = values(accordion), answer = answerIn(accordion);
        const last = asked.get(accordion) || {};
        const isOpen = last.before === answer;
        if (isOpen && Date.now() - last.at < LOST) return soon();
        const tries = last.values === now ? last.tries + 1 : 1;
        const isKnown = last.values === now && !outdated.has(accordion);
        if (isKnown && !(isOpen && tries <= TRIES)) return;
        if (!press(accordion, "look")) return;
        outdated.delete(accordion);
        asked.set(accordion, {values: now, before: answer, at: Date.now(), tries: tries});
        soon();
    }

    function ask() {
        timer = null;
        accordions().forEach(function(accordion) {
            mark(accordion);
            showNeeded(accordion);
            markWords(accordion);
            noteMade(accordion);
            if (!isOpen(accordion)) return opened.delete(accordion);
            if (!opened.has(accordion)) outdated.add(accordion);
            opened.add(accordion);
            if (!filled.has(accordion) && press(accordion, "fill")) filled.add(accordion);
            if (!isChoosing(accordion)) look(accordion);
        });
    }

    // A generation may have loaded a checkpoint, or kept a reference.
    function noteMade(accordion) {
        const info = document.getElementById(
            accordion.id.replace(/^script_(\w+)_instantstyle_enabled$/, "html_info_$1"));
        const text = info ? info.textContent : "";
        if (made.has(accordion) && made.get(accordion) !== text) outdated.add(accordion);
        made.set(accordion, text);
    }

    // Files may have come or gone, and nothing on the page tells.
    function lookAgain() {
        accordions().forEach(function(accordion) { outdated.add(accordion); });
        soon();
    }

    // Sliders that the preset does not use, and fields that mean nothing to the method, stay out of
    // the way; the status knows which they are.
    function showNeeded(accordion) {
        let isOther = false;
        accordion.querySelectorAll(".instantstyle-status[data-map]").forEach(function(status) {
            const map = JSON.parse(status.dataset.map);
            const fields = JSON.parse(status.dataset.fields);
            const unit = status.closest('[id$="_status"]');
            if (!unit) return;
            const sliders = map ? map.sliders : [];
            if (map || !fields.preset) ["layout_weight", "boost"].forEach(function(name) {
                fields[name] = sliders.includes(name);
            });
            Object.keys(fields).forEach(function(name) {
                const field = document.getElementById(unit.id.replace(/status$/, name));
                if (!field || field.classList.contains("instantstyle-unneeded") !== fields[name]) {
                    return;
                }
                field.classList.toggle("instantstyle-unneeded", !fields[name]);
                isOther = true;
            });
        });
        // A row or a group of which nothing is left goes too.
        accordion.querySelectorAll(
            '.instantstyle-group, .form, [id$="_regions"]').forEach(function(row) {
            const names = row.querySelectorAll('[id*="_instantstyle_unit_"]');
            const needed = Array.from(names).some(function(field) {
                const unneeded = field.closest(".instantstyle-unneeded");
                return !unneeded || unneeded.querySelector(".instantstyle-full");
            });
            row.classList.toggle("instantstyle-empty", names.length > 0 && !needed);
        });
        accordion.querySelectorAll('[id$="_advanced"] .instantstyle-heading').forEach(function(text) {
            const heading = text.closest(".block");
            const form = heading && heading.nextElementSibling;
            if (form) {
                const isEmpty = form.classList.contains("instantstyle-empty");
                heading.classList.toggle("instantstyle-empty", isEmpty);
            }
        });
        // A change of classes is none that the WebUI tells of.
        if (isOther) document.dispatchEvent(new Event("instantstyle-changed"));
    }

    // While the reference is looked at, the WebUI is asked how many words are read.
    function follow() {
        const places = document.querySelectorAll(".instantstyle-reading");
        if (places.length) begun = true;
        if (begun && !places.length) {
            clearInterval(following);
            following = null;
        }
        places.forEach(function(place) {
            const accordion = place.closest('[id$="_instantstyle_enabled"]');
            const line = accordion.querySelector('[id$="_instantstyle_told"]').textContent.trim();
            if (line) place.textContent = line;
            press(accordion, "tell");
        });
    }

    function soon() {
        clearTimeout(timer);
        timer = setTimeout(ask, PAUSE);
    }

    // A dot on the tab of each unit that is on, while the accordion's own switch is on.
    function mark(accordion) {
        const master = document.getElementById(accordion.id + "-checkbox");
        const switchedOn = Boolean(master && master.querySelector("input:checked"));
        accordion.querySelectorAll('[id$="_enabled"] input[type=checkbox]').forEach(function(box) {
            const unit = /_unit_(\d+)_enabled$/.exec(box.closest('[id$="_enabled"]').id);
            if (!unit) return;
            const tabs = accordion.querySelectorAll(
                '[id$="_instantstyle_units"] .tab-nav > button');
            const tab = tabs[Number(unit[1]) - 1];
            if (tab) tab.classList.toggle("instantstyle-on", switchedOn && box.checked);
        });
    }

    // The box for the content to remove that a suggested word belongs to.
    function contentOf(word) {
        const unit = word.closest('[id$="_words"]');
        const id = unit && unit.id.replace(/words$/, "content");
        return instantstyle.textBox(id);
    }

    function named(content) {
        return content.value.split("|").map(function(text) { return text.trim(); })
            .filter(Boolean);
    }

    // Suggested words that are removed already look pressed.
    function markWords(accordion) {
        accordion.querySelectorAll(".instantstyle-word").forEach(function(word) {
            const content = contentOf(word);
            const chosen = Boolean(content) && named(content).includes(word.textContent);
            word.setAttribute("aria-pressed", chosen);
        });
    }

    // A suggested word goes into the content to remove, or out of it again.
    document.addEventListener("click", function(event) {
        const word = closest(event.target, ".instantstyle-word");
        const content = word && contentOf(word);
        if (!content) return;
        const had = named(content);
        const rest = had.filter(function(text) { return text !== word.textContent; });
        if (rest.length === had.length) rest.push(word.textContent);
        instantstyle.setText(content, rest.join(" | "));
    });

    document.addEventListener("click", function(event) {
        if (following || !closest(event.target, '[id$="_words_button"]')) return;
        begun = false;
        following = setInterval(follow, READING);
    });

    ["input", "change", "click"].forEach(function(kind) {
        document.addEventListener(kind, function(event) {
            if (closest(event.target, '[id$="_instantstyle_enabled"]')) soon();
        });
    });
    // A page that keeps changing must not put the question off for ever.
    document.addEventListener("instantstyle-changed", function() {
        if (timer === null) soon();
    });
    onOptionsChanged(soon);
    document.addEventListener("change", soon); // such as that of the batch size
    window.addEventListener("focus", lookAgain);
    document.addEventListener("click", function(event) {
        if (closest(event.target, '[id$="_adapter_refresh"]')) lookAgain();
    });
})();
