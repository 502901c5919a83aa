"""A1111's spelling, which the shared page asks for; in Forge it is `gradio_extensions` alone."""

from modules.gradio_extensions import *  # noqa: F403
