// An accordion whose header holds a checkbox: opening it enables, closing it disables. A click on
// the checkbox itself enables without opening.

function inputAccordionChecked(id, checked) {
    const accordion = gradioApp().getElementById(id);
    accordion.visibleCheckbox.checked = checked;
    accordion.onVisibleCheckboxChange();
}

function setupAccordion(accordion) {
    const label = accordion.querySelector('.label-wrap');
    const hidden = gradioApp().querySelector(`#${accordion.id}-checkbox input`);
    const extra = gradioApp().querySelector(`#${accordion.id}-extra`);
    const span = label.querySelector('span');
    const isOpen = () => label.classList.contains('open');
    let linked = true;

    new MutationObserver(function() {
        accordion.classList.toggle('input-accordion-open', isOpen());
        if (linked) {
            accordion.visibleCheckbox.checked = isOpen();
            accordion.onVisibleCheckboxChange();
        }
    }).observe(label, {attributes: true, attributeFilter: ['class']});

    if (extra) {
        label.insertBefore(extra, label.lastElementChild);
    }

    const visible = document.createElement('INPUT');
    visible.type = 'checkbox';
    visible.checked = isOpen();
    visible.id = accordion.id + "-visible-checkbox";
    visible.className = hidden.className + " input-accordion-checkbox";
    span.insertBefore(visible, span.firstChild);
    accordion.visibleCheckbox = visible;

    accordion.onChecked = function(checked) {
        if (isOpen() != checked) label.click();
    };
    accordion.onVisibleCheckboxChange = function() {
        if (linked && isOpen() != visible.checked) label.click();
        hidden.checked = visible.checked;
        updateInput(hidden);
    };

    visible.addEventListener('click', function(event) {
        linked = false;
        event.stopPropagation();
    });
    visible.addEventListener('input', accordion.onVisibleCheckboxChange);
}

onUiLoaded(function() {
    gradioApp().querySelectorAll('.input-accordion').forEach(setupAccordion);
});
