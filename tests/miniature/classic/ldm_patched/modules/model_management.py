"""The account of what is on the device; `account` is the whole of it."""

from tests.miniature.forge_family.memory import module_size, publish  # noqa: F401

account = publish(globals())
