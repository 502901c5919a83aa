// The tools of the canvas in instantstyle_region.js: buttons, mouse, pen, finger and keyboard.
instantstyle.regionTools = (function() {
    "use strict";

    const TOOLS = {
        brush: ["Brush", "Add to the region with a round brush"],
        eraser: ["Eraser", "Take away from the region with a round brush"],
        rectangle: ["Rectangle", "Add a rectangle from one corner to the other"],
    };
    const ACTIONS = {
        undo: ["Undo", "Take back the last change of the region", undo],
        invert: ["Invert", "Exchange what is in the region and what is not", invert],
        all: ["Fill all", "The whole picture becomes the region", fillAll],
        clear: ["Clear", "Remove the region; the unit then acts in the whole picture", clear],
    };
    const FROM_IMG2IMG = ["Use img2img's mask", "The region becomes the mask that is drawn in img2img",
        useInpaintMask];
    const NO_MASK = "There is no mask in img2img. Draw one in its tab Inpaint, or drop one in its tab " +
        "Inpaint upload, then press the button again.";
    const SIZES = {min: 4, max: 160, value: 56}; // of the brush, in pixels of the canvas
    const STEPS = 32; // of the arrow keys from one end of the canvas to the other
    const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
    const make = instantstyle.make;
    const masks = instantstyle.masks;

    function button(text, title, parent, act) {
        const made = make("button", {type: "button", className: "instantstyle-button",
            textContent: text, title: title}, parent);
        made.addEventListener("click", act);
        return made;
    }

    function build(state, area) {
        const region = instantstyle.region;
        area.replaceChildren();
        area.setAttribute("aria-label", "Region of unit " + state.number);
        const title = make("div", {className: "instantstyle-region-title"}, area);
        region.swatch(title, state.number, "Region of " + region.named(state.number));
        make("div", {textContent: "Draw where this unit gives its style. Each change goes into the " +
            "region mask at once."}, area);
        tools(state, make("div", {className: "instantstyle-region-tools", role: "group",
            ariaLabel: "Drawing tools"}, area));
        state.sheet = make("div", {className: "instantstyle-region-sheet"}, area);
        state.beneath = make("img", {alt: "", hidden: true}, state.sheet);
        sheet(state);
        state.line = make("div", {className: "instantstyle-region-line", role: "status"}, area);
        state.legend = make("div", {className: "instantstyle-region-legend", hidden: true}, area);
        make("div", {className: "instantstyle-region-help", id: state.region.dataset.target + "_help",
            textContent: "With the keyboard: the arrow keys move the cross, Space begins and ends a " +
            "stroke or a rectangle, Escape closes."}, area);
    }

    function tools(state, bar) {
        const kinds = Object.keys(TOOLS).map(function(tool) {
            const made = button(...TOOLS[tool], bar, function() {
                state.tool = tool;
                kinds.forEach(function(each) { each.setAttribute("aria-pressed", each === made); });
            });
            made.dataset.tool = tool;
            made.setAttribute("aria-pressed", tool === state.tool);
            return made;
        });
        const label = make("label", {textContent: "Brush size"}, bar);
        state.brush = make("input", Object.assign({type: "range", className: "instantstyle-own"},
            SIZES), label);
        Object.keys(ACTIONS).forEach(function(name) {
            const action = ACTIONS[name];
            button(action[0], action[1], bar, function() { action[2](state); }).dataset.action = name;
        });
        if (state.tab === "img2img") {
            button(FROM_IMG2IMG[0], FROM_IMG2IMG[1], bar, function() {
                FROM_IMG2IMG[2](state);
            }).dataset.action = "inpaint";
        }
        button("Close", "Close the drawing; the region stays", bar, function() {
            instantstyle.region.close(state.region);
        }).dataset.action = "close";
        state.undoButton = bar.querySelector("[data-action=undo]");
        showUndo(state);
    }

    // Not disabled: the button would lose the focus.
    function showUndo(state) {
        state.undoButton.setAttribute("aria-disabled", state.undo.length === 0);
    }

    // -- what the buttons do ---------------------------------------------------------------------

    function become(state, mask) {
        instantstyle.region.remember(state);
        state.mask = mask;
        instantstyle.region.commit(state);
    }

    function undo(state) {
        if (!state.undo.length) return;
        const mask = state.undo.pop();
        state.mask = masks.copy(mask, null, ...state.size); // the canvas may have another size now
        showUndo(state);
        instantstyle.region.commit(state);
    }

    function invert(state) {
        become(state, masks.inverted(state.mask));
    }

    function fillAll(state) {
        become(state, masks.full(...state.size));
    }

    function clear(state) {
        become(state, masks.newCanvas(...state.size));
    }

    async function useInpaintMask(state) {
        const mask = await masks.inpaintMask(...state.size);
        if (mask) become(state, mask);
        else instantstyle.region.say(state, NO_MASK);
    }

    // -- strokes ---------------------------------------------------------------------------------

    function begin(state, x, y) {
        instantstyle.region.remember(state);
        state.stroke = {from: [x, y], last: [x, y], before: masks.copy(state.mask)};
        move(state, [[x, y]]);
    }

    // To the last of these places, through the others: a quick hand passes many between two events.
    function move(state, places) {
        places.forEach(function(place) {
            state.pointer = place;
            if (state.stroke) drawStroke(state, ...place);
        });
        instantstyle.region.draw(state);
    }

    function drawStroke(state, x, y) {
        const stroke = state.stroke;
        if (state.tool === "rectangle") {
            state.mask = masks.copy(stroke.before);
            const context = masks.contextOf(state.mask);
            const left = Math.round(Math.min(x, stroke.from[0]));
            const top = Math.round(Math.min(y, stroke.from[1]));
            context.fillStyle = "white";
            context.fillRect(left, top, Math.round(Math.max(x, stroke.from[0])) - left,
                Math.round(Math.max(y, stroke.from[1])) - top);
            return;
        }
        const context = masks.contextOf(state.mask);
        context.globalCompositeOperation = state.tool === "eraser" ? "destination-out" : "source-over";
        context.strokeStyle = "white";
        context.lineCap = context.lineJoin = "round";
        context.lineWidth = Number(state.brush.value);
        context.beginPath();
        context.moveTo(...stroke.last);
        context.lineTo(x, y);
        context.stroke();
        stroke.last = [x, y];
    }

    function end(state) {
        if (!state.stroke) return;
        state.stroke = null;
        instantstyle.region.commit(state);
    }

    function cancel(state) {
        if (!state.stroke) return;
        state.mask = state.undo.pop();
        state.stroke = null;
        showUndo(state);
        instantstyle.region.commit(state); // a stroke before it may not be in the box yet
    }

    // The canvas, and what is done upon it.
    function sheet(state) {
        const canvas = make("canvas", {className: "instantstyle-region-canvas", tabIndex: 0,
            width: 1, height: 1}, state.sheet);
        // Not an image: keys and pointers act upon it.
        canvas.setAttribute("role", "application");
        canvas.setAttribute("aria-label", "Drawing of the region of unit " + state.number);
        canvas.setAttribute("aria-describedby", state.region.dataset.target + "_help");
        state.canvas = canvas;
        state.context = canvas.getContext("2d");
        canvas.addEventListener("pointerdown", function(event) {
            if (event.button !== 0 || !event.isPrimary) return;
            canvas.setPointerCapture(event.pointerId);
            cancel(state); // one that was begun with the keyboard
            begin(state, ...placeOf(state, event));
        });
        canvas.addEventListener("pointermove", function(event) {
            if (!event.isPrimary) return;
            const passed = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
            move(state, (passed.length ? passed : [event]).map(function(each) {
                return placeOf(state, each);
            }));
        });
        canvas.addEventListener("pointerup", function(event) {
            if (event.isPrimary) end(state);
        });
        canvas.addEventListener("pointercancel", function() { cancel(state); });
        ["pointerleave", "blur"].forEach(function(kind) {
            canvas.addEventListener(kind, function() {
                if (kind === "blur") end(state);
                if (!state.stroke) state.pointer = null;
                instantstyle.region.draw(state);
            });
        });
        canvas.addEventListener("keydown", function(event) { onKey(state, event); });
    }

    function placeOf(state, event) {
        const box = state.canvas.getBoundingClientRect();
        return [(event.clientX - box.left) / box.width * state.canvas.width,
            (event.clientY - box.top) / box.height * state.canvas.height];
    }

    function onKey(state, event) {
        const at = state.pointer || [state.size[0] / 2, state.size[1] / 2];
        if (ARROWS[event.key]) {
            event.preventDefault();
            const step = Math.max(...state.size) / STEPS;
            move(state, [[0, 1].map(function(side) {
                const place = at[side] + ARROWS[event.key][side] * step;
                return Math.max(0, Math.min(state.size[side], place));
            })]);
        } else if (event.key === " ") {
            event.preventDefault();
            if (state.stroke) end(state);
            else begin(state, ...at);
        } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            undo(state);
        }
    }

    // The brush, or a cross: where the next stroke begins.
    function drawPointer(state, context) {
        if (!state.pointer) return;
        const [x, y] = state.pointer;
        const radius = state.tool === "rectangle" ? 0 : Number(state.brush.value) / 2;
        [["black", 3], ["white", 1]].forEach(function(line) {
            context.strokeStyle = line[0];
            context.lineWidth = line[1];
            context.beginPath();
            context.arc(x, y, radius, 0, 2 * Math.PI);
            context.moveTo(x - 8, y);
            context.lineTo(x + 8, y);
            context.moveTo(x, y - 8);
            context.lineTo(x, y + 8);
            context.stroke();
        });
    }

    return {build: build, showUndo: showUndo, drawPointer: drawPointer};
})();
