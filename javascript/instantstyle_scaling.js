// A picture file as a data URL: small ones as they are, larger ones scaled down in a canvas.
//
// Some browsers falsify what is read from a canvas, so that pages cannot tell visitors apart:
// Firefox with resistFingerprinting, LibreWolf, Tor and Brave. There the file itself is sent.
instantstyle.asDataUrl = (function() {
    "use strict";

    const KEEP_BYTES = 300 * 1000; // pictures up to this size travel as they are
    const SHORT_SIDE = 768; // larger ones are scaled down to this; image encoders see 224 pixels
    const PROBE_SIDE = 256; // of a picture of known pixels; Brave changes some hundred of any picture
    const AT_ONCE = 65536; // random bytes that a browser gives
    const PNG = "data:image/png;base64,";

    function readAsDataUrl(file) {
        return new Promise(function(resolve, reject) {
            const reader = new FileReader();
            reader.onload = function() { resolve(reader.result); };
            reader.onerror = function() { reject(reader.error); };
            reader.readAsDataURL(file);
        });
    }

    function newContext(width, height) {
        const canvas = instantstyle.make("canvas", {width: width, height: height});
        return canvas.getContext("2d", {willReadFrequently: true});
    }

    function pixelsOf(context) {
        return context.getImageData(0, 0, context.canvas.width, context.canvas.height).data;
    }

    // The pixels of a PNG of this size in a data URL. Raises if it is none.
    async function pixelsIn(text, width, height) {
        if (typeof text !== "string" || !text.startsWith(PNG)) throw new Error("no PNG");
        const bytes = Uint8Array.from(atob(text.slice(PNG.length)), function(letter) {
            return letter.charCodeAt(0);
        });
        const picture = await createImageBitmap(new Blob([bytes], {type: "image/png"}),
            {colorSpaceConversion: "none"});
        if (picture.width !== width || picture.height !== height) throw new Error("another size");
        const context = newContext(width, height);
        context.drawImage(picture, 0, 0);
        picture.close();
        return pixelsOf(context);
    }

    // Colours of half transparent pixels are rounded each time that they are drawn.
    function areSame(first, second) {
        if (first.length !== second.length) return false;
        for (let i = 0; i < first.length; i += 4) {
            if (first[i + 3] !== second[i + 3]) return false;
            if (first[i + 3] === 255 && (first[i] !== second[i] ||
                first[i + 1] !== second[i + 1] || first[i + 2] !== second[i + 2])) return false;
        }
        return true;
    }

    // Whether known pixels come out of a canvas as they went in. Asked each time: people change
    // this while a page is open.
    async function isTrue() {
        const known = new ImageData(PROBE_SIDE, PROBE_SIDE);
        for (let i = 0; i < known.data.length; i += AT_ONCE) {
            crypto.getRandomValues(known.data.subarray(i, i + AT_ONCE));
        }
        for (let i = 3; i < known.data.length; i += 4) known.data[i] = 255;
        const context = newContext(PROBE_SIDE, PROBE_SIDE);
        context.putImageData(known, 0, 0);
        const read = await pixelsIn(context.canvas.toDataURL("image/png"), PROBE_SIDE, PROBE_SIDE);
        return areSame(known.data, read);
    }

    // What was drawn, as a data URL. null where the canvas does not give it back.
    async function asPng(context) {
        if (!await isTrue()) return null;
        // The same of the picture itself, for what is falsified in large pictures only.
        const drawn = pixelsOf(context);
        const text = context.canvas.toDataURL("image/png");
        const sent = await pixelsIn(text, context.canvas.width, context.canvas.height);
        return areSame(drawn, sent) ? text : null;
    }
    instantstyle.canvasAsPng = asPng;

    // null where the canvas does not give the picture back. Raises where there is none.
    async function scaledDown(file) {
        // Upright, because browsers apply EXIF rotation; colours as they are in the file, because
        // image encoders are given them so.
        const picture = await createImageBitmap(file, {colorSpaceConversion: "none"});
        const scale = Math.min(1, SHORT_SIDE / Math.min(picture.width, picture.height));
        const context = newContext(
            Math.round(picture.width * scale), Math.round(picture.height * scale));
        context.imageSmoothingQuality = "high";
        context.drawImage(picture, 0, 0, context.canvas.width, context.canvas.height);
        picture.close();
        return asPng(context);
    }

    // Raises NoPicture if the file cannot be read, or must go as it is and is too large for that.
    return async function(file) {
        let text = null;
        try {
            if (file.size > KEEP_BYTES) text = await scaledDown(file);
        } catch (error) {
            // Not for the browser to judge: the WebUI will say why.
        }
        if (text) return text;
        const NoPicture = instantstyle.arrivals.NoPicture;
        instantstyle.arrivals.checkSize(file.size);
        try {
            return await readAsDataUrl(file);
        } catch (error) {
            throw new NoPicture("cannot be read");
        }
    };
})();
