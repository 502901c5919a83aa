"""Tests of the miniature's Forge mode, and of the extension where Forge differs."""
