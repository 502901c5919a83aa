"""The wrapper that every model in the account of memory has."""

from tests.miniature.forge_family.patchers import ModelPatcher  # noqa: F401
