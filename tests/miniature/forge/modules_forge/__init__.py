"""Forge's additions to the WebUI itself."""
