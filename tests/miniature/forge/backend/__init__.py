"""Forge's own package beside `modules`: memory, patchers, engines."""
