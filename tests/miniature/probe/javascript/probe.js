onUiLoaded(function() {
    window.probeLoaded = true;
});
