// What the other scripts of this extension share, and the event that tells them of a changed page.
//
// The WebUI loads scripts in the order of their names, each as a classic script; this one is first.
const instantstyle = (function() {
    "use strict";

    const PACE = 50; // milliseconds between two looks at a page that keeps changing

    // A new element with these properties, appended to `parent` if one is given.
    function make(tag, properties, parent) {
        const element = Object.assign(document.createElement(tag), properties);
        if (parent) parent.appendChild(element);
        return element;
    }

    // `element` or its nearest ancestor that the selector matches. The target of an event may be
    // the document, which has no `closest`.
    function closest(element, selector) {
        return element && element.closest ? element.closest(selector) : null;
    }

    // Where the text of the Gradio component with this id is typed.
    function textBox(id) {
        const component = id ? document.getElementById(id) : null;
        return component ? component.querySelector("textarea, input") : null;
    }

    // The WebUI's own helper tells Gradio that the value changed.
    function setText(box, text) {
        box.value = text;
        updateInput(box);
    }

    // The address of the picture that a gallery or a picture box of the WebUI shows; "" if none.
    // Forge's boxes draw theirs on a canvas, and keep it as text.
    function pictureIn(id) {
        const place = document.getElementById(id);
        if (!place) return "";
        const image = place.querySelector(
            ".thumbnail-item.selected img, .thumbnail-small.selected img") ||
            place.querySelector("img[src]");
        const text = place.querySelector("textarea");
        const kept = text && text.value.startsWith("data:image/") ? text.value : "";
        return image && image.getAttribute("src") ? image.src : kept;
    }

    // The random number of this tab of the browser, by which a WebUI that strangers may use knows
    // what the tab has sent. A reload keeps it where the browser lets pages store anything.
    let number = "";
    function tab() {
        const name = "instantstyle-tab";
        try {
            number = number || sessionStorage.getItem(name) || "";
        } catch (error) { /* nothing may be stored: the number lives as long as the page */ }
        if (!/^[0-9a-f]{32}$/.test(number)) {
            number = Array.from(crypto.getRandomValues(new Uint8Array(16)), function(byte) {
                return byte.toString(16).padStart(2, "0");
            }).join("");
        }
        try {
            sessionStorage.setItem(name, number);
        } catch (error) { /* as above */ }
        return number;
    }

    // One event for all our files soon after the page has changed. Not onAfterUiUpdate, which waits
    // until nothing has moved for a while: beside a progress bar or a clock it never comes.
    let isAnnounced = true;
    onUiUpdate(function() {
        if (!isAnnounced) return;
        isAnnounced = false;
        setTimeout(function() {
            isAnnounced = true;
            document.dispatchEvent(new Event("instantstyle-changed"));
        }, PACE);
    });

    return {make: make, closest: closest, textBox: textBox, setText: setText,
        pictureIn: pictureIn, tab: tab};
})();
