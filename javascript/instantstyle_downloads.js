// The list of models to download: clicks on its buttons, and a look once a second while one is
// under way. A press of the hidden button is answered with the list as it stands.
instantstyle.downloads = (function() {
    "use strict";

    const PAUSE = 1000; // milliseconds between two looks
    const GLANCE = 200, PATIENCE = 20000; // whether a list that is being opened is there
    const seen = new WeakMap(); // the frame of a list -> how many files were there
    const looks = new WeakMap(); // the frame of a list -> the timer of the next look

    function frames() {
        return document.querySelectorAll('[id$="_instantstyle_downloads"]');
    }

    function listOf(frame) {
        return frame.querySelector(".instantstyle-downloads");
    }

    function press(frame) {
        const button = document.getElementById(frame.id + "_ask");
        if (button) button.click();
    }

    // Whoever opens the list wants to see it; a busy page takes its time to open anything.
    function askWhenShown(frame, end) {
        const list = listOf(frame);
        if (!list || "here" in list.dataset) return;
        if (list.offsetParent !== null) press(frame);
        else if (Date.now() < end) {
            setTimeout(function() { askWhenShown(frame, end); }, GLANCE);
        }
    }

    // New files: the lists of the page are filled again, and the units say what is possible now.
    function tellUnits() {
        ["fill", "look"].forEach(function(name) {
            document.querySelectorAll('[id$="_instantstyle_' + name + '"]')
                .forEach(function(button) { button.click(); });
        });
    }

    // Start files at once, and open the list, which shows how far they are.
    function start(tab, files) {
        const frame = document.getElementById("script_" + tab + "_instantstyle_downloads");
        if (!frame) return;
        const label = frame.querySelector(".label-wrap");
        if (label && !label.classList.contains("open")) label.click();
        frame.dataset.asked = "start " + files.join(" ");
        press(frame);
    }

    document.addEventListener("click", function(event) {
        const frame = instantstyle.closest(event.target, '[id$="_instantstyle_downloads"]');
        if (!frame) return;
        const button = event.target.closest("button[data-ask]");
        if (button) {
            frame.dataset.asked = button.dataset.ask; // the list itself may be drawn anew any time
            button.disabled = true; // until the answer draws another one
            press(frame);
            return;
        }
        askWhenShown(frame, Date.now() + PATIENCE);
    });

    document.addEventListener("instantstyle-changed", function() {
        frames().forEach(function(frame) {
            const list = listOf(frame);
            if (!list || list.dataset.drawn || !("here" in list.dataset)) return;
            list.dataset.drawn = "yes"; // each answer is looked at once
            if (seen.has(frame) && seen.get(frame) !== list.dataset.here) tellUnits();
            seen.set(frame, list.dataset.here);
            clearTimeout(looks.get(frame));
            if (frame.dataset.asked) press(frame); // a click that came while another was answered
            else if ("runs" in list.dataset) {
                looks.set(frame, setTimeout(function() { press(frame); }, PAUSE));
            }
        });
    });

    return {start: start};
})();
