"""Nothing to install: the WebUI ships all that InstantStyle needs."""
