"""What Forge Classic and reForge have in the place of `backend`."""
