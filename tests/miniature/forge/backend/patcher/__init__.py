"""What Forge wraps around models."""
