"""What the method does to pictures, as numbers: `make effect`."""
