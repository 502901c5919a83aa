// A bar chart under the picture: how much each block added, where a unit measured its effect.
//
// The numbers stand in the picture's infotext ("InstantStyle 1 effect: block share, ..."), so the
// chart is that of the picture shown, also of one that the gallery is turned to.
(function() {
    "use strict";

    const LINE = /InstantStyle (\d+) effect: (?:"([^"]*)"|([^,\n]*))/g;
    const drawn = new WeakMap(); // info element -> the lines that its chart shows
    const make = instantstyle.make;

    // [{unit, block, share}] in the text of an infotext.
    function effects(text) {
        return Array.from(text.matchAll(LINE)).flatMap(function(line) {
            return (line[2] || line[3] || "").split(",").map(function(entry) {
                const words = entry.trim().split(" ");
                return {unit: line[1], block: words[0], share: Number(words[1])};
            });
        }).filter(function(effect) { return Number.isFinite(effect.share); });
    }

    function draw(tab) {
        const info = document.getElementById("html_info_" + tab);
        if (!info || !info.parentElement) return;
        const found = effects(info.textContent);
        const wanted = JSON.stringify(found);
        if (drawn.get(info) === wanted) return;
        drawn.set(info, wanted);
        const old = document.getElementById("instantstyle_effect_" + tab);
        if (old) old.remove();
        if (!found.length) return;
        const chart = make("div", {id: "instantstyle_effect_" + tab,
            className: "instantstyle-effect"}, info.parentElement);
        const title = "Effect in each block, as a share of the text's";
        make("div", {textContent: title}, chart);
        const largest = Math.max.apply(null, found.map(function(effect) { return effect.share; }));
        found.forEach(function(effect) {
            const row = make("div", {className: "instantstyle-effect-row"}, chart);
            make("span", {textContent: "Unit " + effect.unit + " " + effect.block}, row);
            const track = make("div", {className: "instantstyle-effect-track"}, row);
            const bar = make("div", {className: "instantstyle-effect-bar"}, track);
            bar.style.width = (largest ? effect.share / largest * 100 : 0) + "%";
            make("span", {textContent: (effect.share * 100).toPrecision(3) + " %"}, row);
        });
    }

    // The same in the block map of each unit: a line in the bar, the strongest at its top.
    function mark(tab) {
        const info = document.getElementById("html_info_" + tab);
        const found = info ? effects(info.textContent) : [];
        const largest = Math.max.apply(null, found.map(function(effect) { return effect.share; }));
        const maps = '.instantstyle-map[data-status^="script_' + tab + '_"]';
        document.querySelectorAll(maps).forEach(function(map) {
            const unit = /_unit_(\d+)_status$/.exec(map.dataset.status)[1];
            map.querySelectorAll(".instantstyle-cell").forEach(function(cell) {
                const effect = found.find(function(each) {
                    return each.unit === unit && each.block === cell.dataset.name;
                });
                const text = effect ? (effect.share * 100).toPrecision(3) + " %" : "";
                if ((cell.dataset.measured || "") === text) return;
                cell.dataset.measured = text;
                const old = cell.querySelector(".instantstyle-measured");
                if (old) old.remove();
                if (!effect) return;
                const line = make("div", {className: "instantstyle-measured",
                    title: "measured in the last picture: " + text + " of the text's attention"},
                    cell.querySelector(".instantstyle-track"));
                line.style.bottom = "calc(" + (largest ? effect.share / largest * 100 : 0) + "% - 3px)";
            });
        });
    }

    document.addEventListener("instantstyle-changed", function() {
        ["txt2img", "img2img"].forEach(function(tab) {
            draw(tab);
            mark(tab);
        });
    });
})();
