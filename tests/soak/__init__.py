"""Many generations one after the other, as a day of use would bring them."""
