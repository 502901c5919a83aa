// Cards of extra networks: a click adds the tag to the prompt, a second one takes it out again.

function updatePromptArea(text, textarea) {
    const separator = opts.extra_networks_add_text_separator;
    const start = text.slice(0, text.lastIndexOf(':') + 1);
    const at = textarea.value.indexOf(start);
    if (at < 0) {
        textarea.value += separator + text;
    } else {
        const end = textarea.value.indexOf('>', at) + 1;
        const before = textarea.value.slice(0, at);
        const kept = before.endsWith(separator) ? before.slice(0, -separator.length) : before;
        textarea.value = kept + textarea.value.slice(end);
    }
    updateInput(textarea);
}

function cardClicked(tabname, textToAdd, textToAddNegative, allowNegativePrompt) {
    updatePromptArea(textToAdd, gradioApp().querySelector(`#${tabname}_prompt > label > textarea`));
}
