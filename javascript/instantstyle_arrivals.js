// What arrives at a box for pictures: files, folders, addresses or text. Of each it is known at the
// end that it is a picture file, or why it is not, in a few words for a sentence.
//
// Addresses are fetched from this page's own origin alone: to ask another one would tell it who is
// here, and its answer could not be read anyway.
instantstyle.arrivals = (function() {
    "use strict";

    const MOST_BYTES = 64 * 1024 * 1024; // of a file that is sent as it is (limits.py)
    const PATIENCE = 60 * 1000; // milliseconds for an address, to its last byte
    const NAMED = 3; // of what is refused at once, by name
    const ALLOWED = "Allowed is a picture file, or a picture that this WebUI shows.";
    const SHOWN = 60; // characters of a name or a text
    const FETCHED = ["http:", "https:", "blob:", "data:"];
    const UNKNOWN = ["", "application/octet-stream", "binary/octet-stream"]; // the server decides

    // Its message stands in brackets after the name of what came: "notes.txt (text/plain)".
    class NoPicture extends Error {}

    function shorten(text) {
        const line = text.replace(/[\s\u0000-\u001f\u202a-\u202e\u2066-\u2069]+/g, " ").trim();
        return line.length <= SHOWN ? line : line.slice(0, SHOWN - 1) + "\u2026";
    }

    function megabytes(bytes) {
        return Math.ceil(bytes / 1e6) + " MB";
    }

    function parsed(address) {
        try {
            return new URL(address);
        } catch (error) {
            return null; // a relative one, too: relative to which page is not known
        }
    }

    function isOwn(address) {
        const url = parsed(address);
        return url !== null && FETCHED.includes(url.protocol) &&
            (url.protocol === "data:" || url.origin === location.origin);
    }

    // What the browser hands over, which it does during the event only.
    function of(transfer) {
        const found = {files: [], folders: [], addresses: [], text: ""};
        if (!transfer) return found;
        Array.from(transfer.items || []).forEach(function(item) {
            if (item.kind !== "file") return;
            const entry = item.webkitGetAsEntry ? item.webkitGetAsEntry() : null;
            const file = item.getAsFile();
            if (entry && entry.isDirectory) found.folders.push(entry.name);
            else if (file) found.files.push(file);
        });
        if (!found.files.length && !found.folders.length) {
            found.files = Array.from(transfer.files || []);
        }
        found.text = transfer.getData("text/plain").trim();
        found.addresses = addressesIn(transfer, found.text);
        return found;
    }

    // A picture in a link comes with both addresses. Its own is better, unless it is foreign.
    function addressesIn(transfer, text) {
        const page = new DOMParser().parseFromString(transfer.getData("text/html"), "text/html");
        const shown = Array.from(page.querySelectorAll("img[src]"), function(image) {
            return image.getAttribute("src");
        }).filter(parsed);
        const listed = transfer.getData("text/uri-list").split(/[\r\n]+/)
            .map(function(line) { return line.trim(); })
            .filter(function(line) { return line && !line.startsWith("#"); });
        const words = text ? text.split(/\s+/) : [];
        const written = words.every(function(word) {
            return /^(https?:\/\/|blob:|data:|file:)/i.test(word);
        }) ? words : [];
        const lists = [shown, listed, written];
        const best = lists.find(function(list) { return list.some(isOwn); }) ||
            lists.find(function(list) { return list.length; }) || [];
        return Array.from(new Set(best));
    }

    // All that came as a list of {name, open}; `open` gives the file or raises NoPicture.
    function entries(found) {
        const folders = found.folders.map(function(name) {
            return refused(name, "a folder");
        });
        const files = chosen(found.files);
        if (folders.length + files.length) return folders.concat(files);
        if (found.addresses.length) return found.addresses.map(addressed);
        if (found.text) return [refused("\u201c" + shorten(found.text) + "\u201d", "text")];
        return [refused("what came", "neither a file nor an address")];
    }

    function chosen(files) {
        return Array.from(files, function(file) {
            return {name: file.name || "the picture", open: async function() { return checked(file); }};
        });
    }

    function refused(name, why) {
        return {name: name, open: async function() { throw new NoPicture(why); }};
    }

    function addressed(address) {
        const url = parsed(address);
        const isData = url !== null && url.protocol === "data:";
        const name = isData ? "the data URL" : address;
        if (isOwn(address)) {
            return {name: name, open: async function() { return checked(await fetched(address)); }};
        }
        const isWeb = url !== null && FETCHED.includes(url.protocol);
        return refused(name, isWeb ? "another site is never asked; save the picture there first"
            : "no address that a page can read");
    }

    async function fetched(address) {
        const control = new AbortController();
        const timer = setTimeout(function() { control.abort(); }, PATIENCE);
        try {
            // Not followed elsewhere: that could be another origin.
            const answer = await fetch(address, {redirect: "error", signal: control.signal});
            if (!answer.ok) throw new NoPicture("answers " + answer.status);
            checkType(answer.headers.get("content-type") || "");
            checkSize(Number(answer.headers.get("content-length")));
            return await answer.blob();
        } catch (error) {
            throw error instanceof NoPicture ? error : new NoPicture("could not be fetched");
        } finally {
            clearTimeout(timer);
            control.abort(); // what is left of an answer that is not wanted
        }
    }

    function checked(file) {
        checkType(file.type);
        if (file.size === 0) throw new NoPicture("empty");
        if (!isPicture(file.type)) checkSize(file.size);
        return file;
    }

    function checkType(type) {
        const kind = type.split(";")[0].trim().toLowerCase();
        // A drawing is no pixels, and the WebUI has nothing to draw it with.
        if (kind === "image/svg+xml" || !(isPicture(kind) || UNKNOWN.includes(kind))) {
            throw new NoPicture(shorten(kind));
        }
    }

    function isPicture(type) {
        return /^image\//i.test(type);
    }

    function checkSize(bytes) {
        if (bytes > MOST_BYTES) {
            throw new NoPicture("has " + megabytes(bytes) + ", up to " +
                Math.floor(MOST_BYTES / 1e6) + " MB are allowed");
        }
    }

    // The pictures among `entries` as text, up to `most`, and what has to be said of the others.
    async function read(entries, most) {
        const texts = [], names = [], refused = [];
        let left = 0;
        for (const entry of entries) {
            if (texts.length === most) {
                left += 1;
                continue;
            }
            try {
                texts.push(await instantstyle.asDataUrl(await entry.open()));
                names.push(parsed(entry.name) === null ? entry.name : "a picture");
            } catch (error) {
                const why = error instanceof NoPicture ? error.message : "cannot be read";
                refused.push(shorten(entry.name) + " (" + why + ")");
            }
        }
        return {texts: texts, names: names, refused: refused, left: left};
    }

    // What `read` found that is no picture, in one line.
    function sentence(refused, left, most) {
        const sentences = [];
        if (refused.length) {
            const more = refused.length - NAMED;
            const named = refused.slice(0, NAMED).concat(more > 0 ? [more + " more"] : []);
            sentences.push("Not taken: " + named.join(", ") + ". " + ALLOWED);
        }
        if (left) {
            sentences.push(left + " left out: " +
                (most === 1 ? "one picture is" : "up to " + most + " pictures are") + " allowed here.");
        }
        return sentences.join(" ");
    }

    return {of: of, entries: entries, chosen: chosen, addressed: addressed, read: read,
        sentence: sentence, checkSize: checkSize, NoPicture: NoPicture};
})();
