// The canvas on which the region of a unit is drawn, below the box for its region mask.
//
// Each stroke goes into that box at once, so the page shows what it sends; a mask that comes into
// the box in another way is loaded into the canvas. Masks are made in instantstyle_masks.js, the
// tools in instantstyle_region_tools.js.
instantstyle.region = (function() {
    "use strict";

    // Light enough on a dark page and dark enough on a light one.
    const COLOURS = [["blue", "#3b82f6"], ["orange", "#d97706"], ["green", "#16a34a"],
        ["purple", "#a855f7"], ["red", "#ef4444"]];
    const OWN = 0.65, OTHER = 0.4; // opacity of the regions
    const MOST_UNDO = 20; // a step may take a megabyte
    const PACE = 100; // milliseconds after a click or a key until the page's own scripts are done
    const FALSIFIED = "This browser changes what a page reads from a canvas, so nothing was taken " +
        "over. Allow canvas access for this page, or drop a mask.";
    const UNREADABLE = "The region mask in the box cannot be read as a picture.";
    const BLACK = "The region mask is black everywhere, and no picture can be made with it. " +
        "Draw where the unit acts.";
    const opened = new Map(); // the element around the area -> its state
    const make = instantstyle.make;
    const masks = instantstyle.masks;

    function colourOf(number) {
        return COLOURS[(number - 1) % COLOURS.length];
    }

    function named(number) {
        return "unit " + number + " (" + colourOf(number)[0] + ")";
    }

    function boxOf(state, number) {
        return instantstyle.textBox(
            "script_" + state.tab + "_instantstyle_unit_" + (number || state.number) + "_mask");
    }

    function textIn(state, number) {
        const box = boxOf(state, number);
        return box ? box.value : "";
    }

    // The picture in the text of a box, which may be a list.
    function pictureIn(text) {
        if (!text.startsWith("[")) return text;
        try {
            return JSON.parse(text)[0].image;
        } catch (error) {
            return "none"; // no picture either
        }
    }

    function say(state, sentence) {
        if (state.line.textContent !== sentence) state.line.textContent = sentence;
    }

    function sayShare(state) {
        const percent = Math.round(state.at.share * 100);
        const share = state.at.share > 0 && percent === 0 ? "less than 1" : percent;
        if (state.at.share === 0) {
            say(state, state.text ? BLACK : "Nothing is drawn: unit " + state.number +
                " acts in the whole picture.");
        } else {
            say(state, "Unit " + state.number + " acts in " + share + " % of the picture, where it is " +
                colourOf(state.number)[0] + ".");
        }
    }

    // -- drawing what is to be seen --------------------------------------------------------------

    function paint(context, mask, number, opacity) {
        context.globalAlpha = opacity;
        context.drawImage(masks.copy(mask, colourOf(number)[1]), 0, 0,
            context.canvas.width, context.canvas.height);
        context.globalAlpha = 1;
    }

    // The number of a region, to be read on any picture.
    function label(context, number, x, y) {
        context.font = "bold 28px sans-serif";
        context.textAlign = "center";
        context.textBaseline = "middle";
        context.lineWidth = 5;
        context.strokeStyle = "black";
        context.strokeText(number, x, y);
        context.fillStyle = "white";
        context.fillText(number, x, y);
    }

    function draw(state) {
        const canvas = state.canvas, context = state.context;
        context.clearRect(0, 0, canvas.width, canvas.height);
        state.others.forEach(function(other, number) { paint(context, other.mask, number, OTHER); });
        paint(context, state.mask, state.number, OWN);
        state.others.forEach(function(other, number) {
            label(context, number, other.at.x, other.at.y);
        });
        if (state.at.share > 0 && !state.stroke) label(context, state.number, state.at.x, state.at.y);
        instantstyle.regionTools.drawPointer(state, context);
    }

    // -- what the box holds and what is drawn ----------------------------------------------------

    // Before the mask changes. What is still being loaded then comes too late.
    function remember(state) {
        state.turn += 1;
        state.undo.push(masks.copy(state.mask));
        if (state.undo.length > MOST_UNDO) state.undo.shift();
        instantstyle.regionTools.showUndo(state);
    }

    // The text for what is drawn. With nothing drawn it is empty, which is no region: a mask that is
    // black everywhere is refused.
    async function textFor(state) {
        state.at = masks.measure(state.mask);
        draw(state);
        return state.at.share > 0 ? masks.write(state.mask) : "";
    }

    // What is drawn becomes the unit's mask.
    async function commit(state) {
        const turn = ++state.turn;
        const text = await textFor(state).catch(function() { return null; });
        if (turn !== state.turn) return; // there is a later stroke
        if (text === null) {
            await take(state, textIn(state));
            return say(state, FALSIFIED);
        }
        state.text = text;
        sayShare(state);
        instantstyle.setText(boxOf(state), text);
        document.dispatchEvent(new Event("instantstyle-changed"));
    }

    // The mask in a text, and its measures; null if it cannot be read.
    async function readFor(state, text) {
        try {
            const mask = await masks.read(pictureIn(text), ...state.size);
            return {mask: mask, at: masks.measure(mask)};
        } catch (error) {
            return null;
        }
    }

    // The text of the box becomes what is drawn.
    async function take(state, text) {
        const turn = ++state.turn;
        state.text = text;
        const found = await readFor(state, text);
        if (turn !== state.turn) return; // drawn upon meanwhile, or another text came
        Object.assign(state, found || {mask: masks.newCanvas(...state.size), at: {share: 0}},
            {undo: []});
        instantstyle.regionTools.showUndo(state);
        if (found) sayShare(state);
        else say(state, UNREADABLE);
        fit(state);
        draw(state);
    }

    // -- what is around it -----------------------------------------------------------------------

    // The size of the canvas is that of the picture to come; a mask always covers all of it.
    function fit(state) {
        const picture = state.beneath.hidden ? null : state.beneath;
        const size = masks.maskSize(...masks.pictureSize(state.tab, picture));
        state.beneath.style.objectFit = ["fill", "cover", "contain"][masks.resizeMode()] || "fill";
        if (String(size) !== String(state.size)) {
            state.size = size;
            state.canvas.width = size[0];
            state.canvas.height = size[1];
            state.sheet.style.setProperty("--width", size[0] + "px");
        }
        if (state.mask.width === size[0] && state.mask.height === size[1]) return;
        state.mask = masks.copy(state.mask, null, ...size);
        state.at = masks.measure(state.mask);
        draw(state);
    }

    async function showBeneath(state) {
        const address = masks.changedPicture(state.tab);
        if (address === state.address) return;
        state.address = address;
        state.beneath.hidden = true;
        if (!address) return state.beneath.removeAttribute("src");
        state.beneath.src = address;
        await state.beneath.decode().catch(function() { /* it stays hidden */ });
        if (address !== state.address) return;
        state.beneath.hidden = !state.beneath.naturalWidth;
        fit(state);
    }

    // The regions of the other units of this tab.
    async function showOthers(state) {
        for (let number = 1; boxOf(state, number); number++) {
            const text = number === state.number ? "" : textIn(state, number);
            const seen = text && text + state.size;
            if ((state.seen.get(number) || "") === seen) continue;
            state.seen.set(number, seen);
            const found = text && await readFor(state, text);
            if (state.seen.get(number) !== seen) continue; // another one came meanwhile
            if (found && found.at.share) state.others.set(number, found);
            else state.others.delete(number);
            showLegend(state);
            draw(state);
        }
    }

    function showLegend(state) {
        state.legend.hidden = state.others.size === 0;
        state.legend.replaceChildren();
        make("span", {textContent: "Also shown:"}, state.legend);
        Array.from(state.others.keys()).sort().forEach(function(number) {
            swatch(make("span", {}, state.legend), number, named(number));
        });
    }

    // A text after a spot of the unit's colour.
    function swatch(element, number, text) {
        make("i", {className: "instantstyle-swatch"}, element).style.background = colourOf(number)[1];
        make("span", {textContent: text}, element);
    }

    function update(state) {
        if (!state.region.isConnected) return opened.delete(state.region);
        if (state.stroke || state.canvas.offsetParent === null) return;
        fit(state);
        const text = textIn(state);
        if (text !== state.text) take(state, text);
        showBeneath(state);
        showOthers(state);
    }

    // -- opening and closing ---------------------------------------------------------------------

    function open(region) {
        const found = /^script_(\w+?)_instantstyle_unit_(\d+)_mask$/.exec(region.dataset.target);
        const state = {region: region, tab: found[1], number: Number(found[2]), size: [1, 1],
            mask: masks.newCanvas(1, 1), at: {share: 0}, undo: [], turn: 0,
            others: new Map(), seen: new Map(), // by number of the unit: its region; its mask's text
            text: null, address: "", stroke: null, pointer: null, tool: "brush"};
        opened.set(region, state);
        instantstyle.regionTools.build(state, region.querySelector(".instantstyle-region-area"));
        show(region, true);
        update(state);
        state.sheet.scrollIntoView({block: "nearest"});
    }

    function close(region) {
        opened.delete(region);
        show(region, false);
        region.querySelector(".instantstyle-region-area").replaceChildren();
        region.querySelector(".instantstyle-region-open").focus();
    }

    function show(region, isOpen) {
        region.querySelector(".instantstyle-region-open").setAttribute("aria-expanded", isOpen);
        region.querySelector(".instantstyle-region-area").hidden = !isOpen;
    }

    document.addEventListener("click", function(event) {
        const button = instantstyle.closest(event.target, ".instantstyle-region-open");
        const region = instantstyle.closest(button, ".instantstyle-region");
        if (!region) return;
        if (opened.has(region)) close(region);
        else open(region);
    });

    // Stopped there: outside of a text, A1111 takes Escape for an interrupt of the generation.
    document.addEventListener("keydown", function(event) {
        const region = instantstyle.closest(event.target, ".instantstyle-region");
        if (event.key !== "Escape" || !opened.has(region)) return;
        event.preventDefault();
        event.stopPropagation();
        close(region);
    }, true);

    function updateAll() {
        Array.from(opened.values()).forEach(update);
    }

    document.addEventListener("instantstyle-changed", updateAll);
    // Such as a width that is typed or exchanged with the height, or a stroke in img2img.
    ["input", "change", "click"].forEach(function(kind) {
        document.addEventListener(kind, function() {
            if (opened.size) setTimeout(updateAll, PACE);
        });
    });

    return {close: close, commit: commit, draw: draw, named: named, remember: remember, say: say,
        swatch: swatch};
})();
