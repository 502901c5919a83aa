"""What needs nothing but Python: units, layers, presets, schedules, infotext, file headers."""
