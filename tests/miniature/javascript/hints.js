// `tooltip=` of a component becomes the title of its element; it needs an elem_id.

onUiLoaded(function() {
    for (const component of window.gradio_config.components) {
        const {webui_tooltip: tooltip, elem_id: id} = component.props;
        const element = tooltip && id && gradioApp().getElementById(id);
        if (element) element.title = tooltip;
    }
});
