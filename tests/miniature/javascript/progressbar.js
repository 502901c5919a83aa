// Asks the server how the task is doing, and shows it above the gallery.

function localSet(key, value) {
    try {
        localStorage.setItem(key, value);
    } catch (e) {
        console.warn(`localSet ${key}: ${e}`);
    }
}

function localGet(key, fallback) {
    try {
        return localStorage.getItem(key) ?? fallback;
    } catch (e) {
        return fallback;
    }
}

function localRemove(key) {
    try {
        localStorage.removeItem(key);
    } catch (e) {
        console.warn(`localRemove ${key}: ${e}`);
    }
}

function request(url, data, handler, errorHandler) {
    fetch(url, {
        method: "POST",
        headers: {"Content-Type": "application/json"},
        body: JSON.stringify(data),
    }).then((res) => res.ok ? res.json() : Promise.reject(res)).then(handler, errorHandler);
}

function requestGet(url, data, handler, errorHandler) {
    const query = new URLSearchParams(data).toString();
    fetch(query ? `${url}?${query}` : url)
        .then((res) => res.ok ? res.json() : Promise.reject(res)).then(handler, errorHandler);
}

function randomId() {
    const part = () => Math.random().toString(36).slice(2, 7);
    return `task(${part()}${part()}${part()})`;
}

function requestProgress(id_task, container, gallery, atEnd, onProgress, inactivityTimeout = 40) {
    const started = Date.now();
    const parent = container.parentNode;
    const bar = document.createElement('div');
    const inner = document.createElement('div');
    let wasActive = false;
    let over = false;
    bar.className = 'progressDiv';
    inner.className = 'progress';
    bar.appendChild(inner);
    parent.insertBefore(bar, container);

    function end() {
        if (over) return;
        over = true;
        parent.removeChild(bar);
        atEnd();
    }

    function ask() {
        request("./internal/progress", {id_task: id_task, live_preview: false}, function(res) {
            const percent = (res.progress || 0) * 100;
            const waited = (Date.now() - started) / 1000;
            wasActive = wasActive || res.active;
            if (res.completed || (!res.active && wasActive)) return end();
            if (waited > inactivityTimeout && !res.queued && !res.active) return end();
            inner.style.width = `${percent}%`;
            inner.textContent = `${res.textinfo || ''} ${percent.toFixed(0)}%`.trim();
            if (onProgress) onProgress(res);
            setTimeout(ask, opts.live_preview_refresh_period || 500);
        }, end);
    }
    ask();
}
