"""Browsers that falsify what is read from a canvas, played by changing its functions."""

# What a browser may do instead, with the true functions at hand. `noisy` returns the canvas with
# the lowest bit of `count` pixels changed.
FALSE = """(body) => {
    const canvas = HTMLCanvasElement.prototype, context = CanvasRenderingContext2D.prototype;
    window.original = window.original || {
        toDataURL: canvas.toDataURL, getContext: canvas.getContext,
        getImageData: context.getImageData,
    };
    const original = window.original;
    Object.assign(canvas, {toDataURL: original.toDataURL, getContext: original.getContext});
    context.getImageData = original.getImageData;
    const spoilt = (data, count) => {
        const size = data.data.length / 4;
        for (let n = 0; n < count; n++) data.data[4 * Math.floor(Math.random() * size)] ^= 1;
        return data;
    };
    const pixels = (c, count) => spoilt(original.getImageData.call(
        original.getContext.call(c, "2d"), 0, 0, c.width, c.height), count);
    const noisy = (c, count) => {
        const other = document.createElement("canvas");
        Object.assign(other, {width: c.width, height: c.height});
        original.getContext.call(other, "2d").putImageData(pixels(c, count), 0, 0);
        return original.toDataURL.call(other);
    };
    new Function("canvas", "context", "original", "spoilt", "pixels", "noisy", body)(
        canvas, context, original, spoilt, pixels, noisy);
}"""
WAYS = {
    "all of it": "canvas.toDataURL = function() { return noisy(this, this.width * this.height); }",
    "some pixels, as Brave": "canvas.toDataURL = function() { return noisy(this, 100); }",
    "one pixel": "canvas.toDataURL = function() { return noisy(this, 1); }",
    "large ones only": """canvas.toDataURL = function() {
        return this.width > 300 ? noisy(this, 3) : original.toDataURL.call(this); }""",
    "in the canvas itself": """canvas.toDataURL = function() {
        original.getContext.call(this, "2d").putImageData(pixels(this, 100), 0, 0);
        return original.toDataURL.call(this); }""",
    "pixels": """context.getImageData = function(...given) {
        return spoilt(original.getImageData.apply(this, given), 100); }""",
    "white, everywhere": """
        context.getImageData = function(...given) {
            const data = original.getImageData.apply(this, given);
            data.data.fill(255);
            return data; };
        canvas.toDataURL = function() {
            const other = document.createElement("canvas");
            Object.assign(other, {width: this.width, height: this.height});
            const drawn = original.getContext.call(other, "2d");
            drawn.fillStyle = "white";
            drawn.fillRect(0, 0, other.width, other.height);
            return original.toDataURL.call(other); }""",
    "nothing": "canvas.toDataURL = function() { return null; }",
    "an empty URL": "canvas.toDataURL = function() { return 'data:,'; }",
    "another format": """canvas.toDataURL = function() {
        return original.toDataURL.call(this, "image/jpeg"); }""",
    "another size": """canvas.toDataURL = function() {
        return original.toDataURL.call(document.createElement("canvas")); }""",
    "an error": "canvas.toDataURL = function() { throw new Error('not allowed'); }",
    "no pixels": "context.getImageData = function() { throw new Error('not allowed'); }",
    "no canvas": "canvas.getContext = function() { return null; }",
}
