// What the buttons of the page call before, or instead of, the server.

window.args_to_array = Array.from;

function all_gallery_buttons() {
    const selector = '[style="display: block;"].tabitem div[id$=_gallery].gradio-gallery'
        + ' .thumbnails > .thumbnail-item.thumbnail-small';
    return Array.from(gradioApp().querySelectorAll(selector))
        .filter((x) => x.parentElement.offsetParent);
}

function selected_gallery_index() {
    return all_gallery_buttons().findIndex((x) => x.classList.contains('selected'));
}

function selected_gallery_button() {
    return all_gallery_buttons()[selected_gallery_index()] ?? null;
}

function extract_image_from_gallery(gallery) {
    if (!gallery || gallery.length == 0) return [null];
    const index = selected_gallery_index();
    return [gallery[index >= 0 && index < gallery.length ? index : 0]];
}

function select_tab(no) {
    gradioApp().querySelectorAll('#tabs > .tab-nav button')[no].click();
}

function switch_to_txt2img() {
    select_tab(0);
    return Array.from(arguments);
}

function switch_to_img2img_tab(no) {
    select_tab(1);
    gradioApp().getElementById('mode_img2img').querySelectorAll('button')[no].click();
}

function switch_to_img2img() {
    switch_to_img2img_tab(0);
    return Array.from(arguments);
}

function switch_to_inpaint() {
    switch_to_img2img_tab(2);
    return Array.from(arguments);
}

function get_tab_index(tabId) {
    const buttons = gradioApp().getElementById(tabId).querySelector('div').querySelectorAll('button');
    return Math.max(0, Array.from(buttons).findIndex((x) => x.classList.contains('selected')));
}

function create_submit_args(args) {
    const res = Array.from(args);
    // Gradio sends the outputs along; the old gallery need not travel to the server
    if (Array.isArray(res[res.length - 3])) res[res.length - 3] = null;
    return res;
}

function setSubmitButtonsVisibility(tabname, showInterrupt, showSkip, showInterrupting) {
    const set = (name, show) => {
        gradioApp().getElementById(`${tabname}_${name}`).style.display = show ? "block" : "none";
    };
    set('interrupt', showInterrupt);
    set('skip', showSkip);
    set('interrupting', showInterrupting);
}

function showSubmitButtons(tabname, show) {
    setSubmitButtonsVisibility(tabname, !show, !show, false);
}

function showSubmitInterruptingPlaceholder(tabname) {
    setSubmitButtonsVisibility(tabname, false, true, true);
}

function showRestoreProgressButton(tabname, show) {
    const button = gradioApp().getElementById(tabname + "_restore_progress");
    if (button) button.style.setProperty('display', show ? 'flex' : 'none', 'important');
}

function startTask(tabname, id, atEnd) {
    requestProgress(
        id, gradioApp().getElementById(tabname + '_gallery_container'),
        gradioApp().getElementById(tabname + '_gallery'), atEnd
    );
}

function submitTab(tabname, args) {
    const id = randomId();
    showSubmitButtons(tabname, false);
    localSet(tabname + "_task_id", id);
    startTask(tabname, id, function() {
        showSubmitButtons(tabname, true);
        localRemove(tabname + "_task_id");
        showRestoreProgressButton(tabname, false);
    });
    const res = create_submit_args(args);
    res[0] = id;
    return res;
}

function submit() {
    return submitTab('txt2img', arguments);
}

function submit_txt2img_upscale() {
    const res = submitTab('txt2img', arguments);
    res[2] = selected_gallery_index();
    return res;
}

function submit_img2img() {
    const res = submitTab('img2img', arguments);
    res[1] = get_tab_index('mode_img2img');
    return res;
}

function restoreProgress(tabname) {
    const id = localGet(tabname + "_task_id");
    showRestoreProgressButton(tabname, false);
    if (id) {
        showSubmitInterruptingPlaceholder(tabname);
        startTask(tabname, id, () => showSubmitButtons(tabname, true));
    }
    return id;
}

function restoreProgressTxt2img() {
    return restoreProgress('txt2img');
}

function restoreProgressImg2img() {
    return restoreProgress('img2img');
}

function confirm_clear_prompt(prompt, negative_prompt) {
    return confirm("Delete prompt?") ? ["", ""] : [prompt, negative_prompt];
}

function recalculate_prompts_txt2img() {
    return Array.from(arguments);
}

function recalculate_prompts_img2img() {
    return Array.from(arguments);
}

function recalculate_prompts_inpaint() {
    return Array.from(arguments);
}

// Settings reach the scripts through a hidden text box
onAfterUiUpdate(function() {
    const element = gradioApp().getElementById('settings_json');
    if (Object.keys(opts).length != 0 || !element) return;
    const textarea = element.querySelector('textarea');
    const property = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value');
    opts = JSON.parse(textarea.value);
    executeCallbacks(optionsAvailableCallbacks);
    executeCallbacks(optionsChangedCallbacks);
    Object.defineProperty(textarea, 'value', {
        set: function(value) {
            const before = property.get.call(textarea);
            property.set.call(textarea, value);
            if (before != value) opts = JSON.parse(value);
            executeCallbacks(optionsChangedCallbacks);
        },
        get: () => property.get.call(textarea),
    });
    element.parentElement.style.display = "none";
});

function restart_reload() {
    document.body.innerHTML = '<h1 style="text-align:center;margin-top:20%">Reloading...</h1>';
    const ping = () => requestGet(
        "./internal/ping", {}, () => location.reload(), () => setTimeout(ping, 500)
    );
    setTimeout(ping, 2000);
    return [];
}

// Gradio hears of a change made by a script only through an `input` event
function updateInput(target) {
    const e = new Event("input", {bubbles: true});
    Object.defineProperty(e, "target", {value: target});
    target.dispatchEvent(e);
}

function setRandomSeed(elem_id) {
    const input = gradioApp().querySelector(`#${elem_id} input`);
    if (!input) return [];
    input.value = "-1";
    updateInput(input);
    return [];
}

function switchWidthHeight(tabname) {
    const field = (name) => gradioApp().querySelector(`#${tabname}_${name} input[type=number]`);
    const width = field('width');
    const height = field('height');
    if (!width || !height) return [];
    [width.value, height.value] = [height.value, width.value];
    updateInput(width);
    updateInput(height);
    return [];
}

function set_theme(theme) {
    const url = window.location.href;
    if (!url.includes('?__theme=')) window.location.replace(`${url}?__theme=${theme}`);
}
