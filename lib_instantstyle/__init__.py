"""InstantStyle for the Stable Diffusion WebUI: the style of a picture and nothing else of it.

This package imports nothing by itself, so that a WebUI start pays only for what is used.
"""

NAME = "InstantStyle"
__version__ = "0.1.0"
