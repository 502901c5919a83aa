"""Their account of memory, and no more."""
