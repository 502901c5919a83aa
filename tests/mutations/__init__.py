"""Breaking our code one line at a time, to see whether the tests notice. See tests/README.md."""
