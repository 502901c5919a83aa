"""The miniature as Forge Classic, which keeps A1111's checkpoint beside Forge's patchers."""
