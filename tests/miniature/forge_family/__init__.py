"""What Forge, reForge and Forge Classic have in common: patchers, an account of memory, rows."""
