// Masks as canvases: white where a unit acts, transparent elsewhere. They are read from a box for
// pictures or from img2img's editors, and go into a box as a PNG, white on black.
instantstyle.masks = (function() {
    "use strict";

    const LONG_SIDE = 512; // layers see a mask on grids that are coarser still
    const USUAL_SIDE = 512; // of a picture, while a size is being typed
    const HALF = 128; // the WebUI's own border between masked and not
    const DRAWN = 32; // opacity; Forge lets people draw faintly
    const CELLS = 16; // in a row and in a column, for the place of a region's number
    const COVER = 1, CONTAIN = 2; // img2img's resize modes; in the others the picture is stretched
    const PICTURES = ["img2img_image", "img2img_sketch", "img2maskimg", "inpaint_sketch", "img_inpaint_base"];
    const MASKS = ["img2maskimg", "inpaint_sketch", "img_inpaint_mask"];
    const make = instantstyle.make;

    function newCanvas(width, height) {
        return make("canvas", {width: width, height: height});
    }

    function contextOf(canvas) {
        return canvas.getContext("2d", {willReadFrequently: true});
    }

    function pixelsOf(canvas) {
        return contextOf(canvas).getImageData(0, 0, canvas.width, canvas.height);
    }

    // The picture at an address, or in the text of a box.
    async function load(text) {
        const isAddress = /^(data|blob|https?):/.test(text);
        const image = make("img", {src: isAddress ? text : "data:image/png;base64," + text});
        await image.decode();
        return image;
    }

    // A mask of this size from `source`, stretched unless `mode` says otherwise. `levelOf` says how
    // white a pixel is, given its red, green, blue and alpha.
    function convert(source, width, height, levelOf, mode) {
        const mask = newCanvas(width, height);
        const across = source.naturalWidth || source.width, down = source.naturalHeight || source.height;
        let scales = [width / across, height / down];
        if (mode === COVER) scales = scales.fill(Math.max(...scales));
        else if (mode === CONTAIN) scales = scales.fill(Math.min(...scales));
        const context = contextOf(mask);
        context.imageSmoothingQuality = "high";
        context.drawImage(source, (width - across * scales[0]) / 2, (height - down * scales[1]) / 2,
            across * scales[0], down * scales[1]);
        const pixels = pixelsOf(mask), data = pixels.data;
        for (let i = 0; i < data.length; i += 4) {
            const level = levelOf(data[i], data[i + 1], data[i + 2], data[i + 3]);
            data.fill(255, i, i + 3);
            data[i + 3] = level;
        }
        context.putImageData(pixels, 0, 0);
        return mask;
    }

    function greyLevel(red, green, blue) {
        return Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
    }

    function alphaLevel(red, green, blue, alpha) {
        return alpha > HALF ? 255 : 0;
    }

    function drawnLevel(red, green, blue, alpha) {
        return alpha > DRAWN ? 255 : 0;
    }

    // The mask in the text of a box; an empty one for "". Raises if the text is no picture.
    async function read(text, width, height) {
        if (!text) return newCanvas(width, height);
        return convert(await load(text), width, height, greyLevel);
    }

    // The text for a box, white on black. null where the browser does not give drawings back.
    async function write(mask) {
        const canvas = newCanvas(mask.width, mask.height);
        const context = contextOf(canvas);
        context.fillRect(0, 0, canvas.width, canvas.height);
        context.drawImage(mask, 0, 0);
        return instantstyle.canvasAsPng(context);
    }

    // A copy, in one colour or stretched to another size if these are given.
    function copy(mask, colour, width, height) {
        const canvas = newCanvas(width || mask.width, height || mask.height);
        const context = contextOf(canvas);
        context.drawImage(mask, 0, 0, canvas.width, canvas.height);
        context.globalCompositeOperation = "source-in";
        context.fillStyle = colour || "white";
        context.fillRect(0, 0, canvas.width, canvas.height);
        context.globalCompositeOperation = "source-over"; // for whoever draws on
        return canvas;
    }

    function full(width, height) {
        const canvas = newCanvas(width, height);
        const context = contextOf(canvas);
        context.fillStyle = "white";
        context.fillRect(0, 0, width, height);
        return canvas;
    }

    function inverted(mask) {
        const canvas = full(mask.width, mask.height);
        const context = contextOf(canvas);
        context.globalCompositeOperation = "destination-out";
        context.drawImage(mask, 0, 0);
        context.globalCompositeOperation = "source-over";
        return canvas;
    }

    // How much of the picture is white, from 0 to 1, and a place well inside of it for a number.
    function measure(mask) {
        const data = pixelsOf(mask).data;
        const cells = new Array(CELLS * CELLS).fill(0);
        let sum = 0;
        for (let i = 3, pixel = 0; i < data.length; i += 4, pixel++) {
            if (!data[i]) continue;
            const x = pixel % mask.width, y = Math.floor(pixel / mask.width);
            const column = Math.floor(x * CELLS / mask.width), row = Math.floor(y * CELLS / mask.height);
            cells[row * CELLS + column] += data[i];
            sum += data[i];
        }
        const best = {score: 0, row: 0, column: 0};
        for (let row = 0; row < CELLS; row++) {
            for (let column = 0; column < CELLS; column++) {
                const score = around(cells, row, column);
                if (score > best.score) Object.assign(best, {score: score, row: row, column: column});
            }
        }
        return {share: sum / 255 / (mask.width * mask.height),
            x: (best.column + 0.5) / CELLS * mask.width, y: (best.row + 0.5) / CELLS * mask.height};
    }

    // The white near a cell; what is nearer counts more, so the middle of a large part is found.
    function around(cells, row, column) {
        let score = 0;
        for (let r = Math.max(0, row - 4); r <= Math.min(CELLS - 1, row + 4); r++) {
            for (let c = Math.max(0, column - 4); c <= Math.min(CELLS - 1, column + 4); c++) {
                const far = Math.abs(r - row) + Math.abs(c - column);
                score += cells[r * CELLS + c] / (1 + far);
            }
        }
        return cells[row * CELLS + column] ? score : 0;
    }

    // -- the picture to come, and img2img's editors ---------------------------------------------

    function isShown(id) {
        const place = document.getElementById(id);
        return Boolean(place) && place.offsetParent !== null;
    }

    // The address of the picture that img2img changes: that of the editor which is shown.
    function changedPicture(tab) {
        if (tab !== "img2img") return "";
        return PICTURES.filter(isShown).map(instantstyle.pictureIn).find(Boolean) || "";
    }

    function resizeMode() {
        const choices = Array.from(document.querySelectorAll("#resize_mode input[type=radio]"));
        return choices.findIndex(function(choice) { return choice.checked; });
    }

    function numberIn(id) {
        const box = document.querySelector("#" + id + " input[type=number]");
        return box ? Number(box.value) : 0;
    }

    // Width and height of the picture to come. `picture`: what img2img changes, once it is loaded;
    // in "Resize by" its size counts.
    function pictureSize(tab, picture) {
        const scale = tab === "img2img" && isShown("img2img_scale") ? numberIn("img2img_scale") : 0;
        if (scale && picture) {
            return [picture.naturalWidth, picture.naturalHeight].map(function(side) {
                return Math.max(1, Math.round(side * scale));
            });
        }
        return ["_width", "_height"].map(function(side) {
            return Math.round(numberIn(tab + side)) || USUAL_SIDE;
        });
    }

    // The size of a mask for a picture of this size.
    function maskSize(width, height) {
        const scale = LONG_SIDE / Math.max(width, height);
        return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
    }

    // What Forge keeps of a drawing, as text in a box beside the editor.
    function forgeDrawing(editor) {
        const named = editor.querySelector('[id*="uuid_"]');
        const found = named && /uuid_\w+/.exec(named.id);
        const box = found && document.querySelector(
            "#" + CSS.escape(found[0]) + ".logical_image_foreground textarea");
        return box ? box.value : "";
    }

    async function editorMask(id, width, height) {
        const editor = document.getElementById(id);
        if (!editor) return null;
        const drawn = editor.querySelector('canvas[key="mask"]'); // Gradio 3
        if (drawn && drawn.width && drawn.height) {
            return convert(drawn, width, height, drawnLevel, resizeMode());
        }
        const text = forgeDrawing(editor);
        if (text) return convert(await load(text), width, height, drawnLevel, resizeMode());
        const address = id === "img_inpaint_mask" ? instantstyle.pictureIn(id) : "";
        if (!address) return null;
        // As the WebUI reads an uploaded mask: by its alpha, if it has any.
        const picture = await load(address);
        const byAlpha = convert(picture, width, height, alphaLevel, resizeMode());
        const hasAlpha = measure(convert(picture, width, height, alphaLevel)).share < 1;
        return hasAlpha ? byAlpha : convert(picture, width, height, greyLevel, resizeMode());
    }

    // img2img's mask as it is drawn or uploaded there, that of the shown editor first; null if none.
    async function inpaintMask(width, height) {
        const order = MASKS.filter(isShown).concat(MASKS);
        for (const id of order) {
            const mask = await editorMask(id, width, height).catch(function() { return null; });
            if (mask && measure(mask).share > 0) return mask;
        }
        return null;
    }

    return {read: read, write: write, load: load, copy: copy, full: full, inverted: inverted,
        measure: measure, contextOf: contextOf, newCanvas: newCanvas, changedPicture: changedPicture,
        resizeMode: resizeMode, pictureSize: pictureSize, maskSize: maskSize,
        inpaintMask: inpaintMask};
})();
