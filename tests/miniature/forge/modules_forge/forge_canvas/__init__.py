"""A box for a picture and a drawing on it, each of which travels as text."""
