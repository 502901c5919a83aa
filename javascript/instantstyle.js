// The reference picture's drop zone: a picture becomes text in a hidden box beside it.
//
// Events are delegated from the document, so nothing has to be bound again when the page is
// rebuilt, and both versions of Gradio are served alike.
(function() {
    "use strict";

    const KEEP_BYTES = 300 * 1000; // pictures up to this size travel as they are
    const SHORT_SIDE = 768; // larger ones are scaled down to this; image encoders see 224 pixels

    function zoneOf(element) {
        return element && element.closest ? element.closest(".instantstyle-drop") : null;
    }

    function textBox(zone) {
        const wrapper = document.getElementById(zone.dataset.target);
        return wrapper ? wrapper.querySelector("textarea, input") : null;
    }

    function setText(zone, text) {
        const box = textBox(zone);
        if (!box) return;
        box.value = text;
        updateInput(box); // the WebUI's own helper tells Gradio that the value changed
        show(zone, text);
    }

    function show(zone, text) {
        const image = zone.querySelector(".instantstyle-preview");
        if (zone.dataset.length === String(text.length) && image.src === text) return;
        zone.dataset.length = String(text.length);
        image.hidden = !text;
        if (text) {
            image.src = text.startsWith("data:") ? text : "data:image/png;base64," + text;
        } else {
            image.removeAttribute("src");
        }
        zone.querySelector(".instantstyle-hint").hidden = Boolean(text);
        zone.querySelector(".instantstyle-clear").hidden = !text;
    }

    function readAsDataUrl(file) {
        return new Promise(function(resolve, reject) {
            const reader = new FileReader();
            reader.onload = function() { resolve(reader.result); };
            reader.onerror = function() { reject(reader.error); };
            reader.readAsDataURL(file);
        });
    }

    async function scaledDown(file) {
        const picture = await createImageBitmap(file); // upright: browsers apply EXIF rotation
        const scale = Math.min(1, SHORT_SIDE / Math.min(picture.width, picture.height));
        const canvas = document.createElement("canvas");
        canvas.width = Math.round(picture.width * scale);
        canvas.height = Math.round(picture.height * scale);
        const context = canvas.getContext("2d");
        context.imageSmoothingQuality = "high";
        context.drawImage(picture, 0, 0, canvas.width, canvas.height);
        picture.close();
        return canvas.toDataURL("image/png");
    }

    async function take(zone, file) {
        if (!file) return;
        let text;
        try {
            text = file.size <= KEEP_BYTES ? await readAsDataUrl(file) : await scaledDown(file);
        } catch (error) {
            text = await readAsDataUrl(file); // not for the browser to judge: the WebUI will say why
        }
        setText(zone, text);
    }

    function pictureIn(transfer) {
        if (!transfer) return null;
        return Array.from(transfer.files).find(function(file) {
            return file.type.startsWith("image/");
        }) || null;
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
        take(zone, pictureIn(event.dataTransfer));
    }, true);

    document.addEventListener("paste", function(event) {
        const zone = zoneOf(document.activeElement);
        const picture = zone && pictureIn(event.clipboardData);
        if (!picture) return;
        event.preventDefault();
        event.stopPropagation();
        take(zone, picture);
    }, true);

    document.addEventListener("click", function(event) {
        const zone = zoneOf(event.target);
        if (!zone) return;
        if (event.target.closest(".instantstyle-clear")) {
            setText(zone, "");
        } else if (!event.target.matches("input")) {
            zone.querySelector("input").click();
        }
    });

    document.addEventListener("keydown", function(event) {
        if (event.target.matches && event.target.matches(".instantstyle-drop")) {
            if (event.key === "Enter" || event.key === " ") {
                event.preventDefault();
                event.target.querySelector("input").click();
            } else if (event.key === "Delete" || event.key === "Backspace") {
                setText(event.target, "");
            }
        }
    });

    document.addEventListener("change", function(event) {
        const zone = zoneOf(event.target);
        if (!zone || !event.target.matches("input[type=file]")) return;
        take(zone, event.target.files[0]);
        event.target.value = ""; // so that choosing the same file again is a change
    });

    // The text may also come from elsewhere: "Send to img2img", or the page's saved state.
    onAfterUiUpdate(function() {
        document.querySelectorAll(".instantstyle-drop").forEach(function(zone) {
            const box = textBox(zone);
            if (box && zone.dataset.length !== String(box.value.length)) show(zone, box.value);
        });
    });
})();
