"""What the extension does, shown in the miniature WebUI: `make demo`."""
