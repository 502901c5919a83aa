"""The words that fields allow, each vocabulary once.

What implements them stands elsewhere, in tables whose keys are these words.
"""

from __future__ import annotations

AUTO = "auto"
DIFFERENCE, PROJECTION, SUBSPACE, MASK = "difference", "projection", "subspace", "mask"
CONTENT_MODES = (DIFFERENCE, PROJECTION, SUBSPACE, MASK)
CLIP_SOURCES = AUTO, LOADED, FILE = AUTO, "loaded", "file"
CROPS = ("center", "pad", "stretch", "tiles")
CONCAT, EACH = "concat", "each"
COLOUR_TEXTURE, COLOUR, TEXTURE = "colour + texture", "colour", "texture"
SEPARATED = (COLOUR_TEXTURE, COLOUR, TEXTURE)  # work on grey copies of the references
COMBINE = (
    *(CONCAT, "average", "norm average", "add", "subtract", "max", "min", EACH),
    *SEPARATED,
)
EMBEDS_SCALING = ("V only", "K+V", "K+V w/ C penalty", "K+mean(V) w/ C penalty")
NOISES = ("none", "fade", "dissolve", "gaussian", "shuffle")
PURIFY_SCALES = PUBLISHED, RELATIVE = "published", "relative"
AWAY_FROM = NEGATIVE_IMAGE, REMOVED_CONTENT = "negative image", "removed content"
FUSIONS = ADD, ADAIN = "add", "adain"
REFERENCE_NOISES = INVERSION, SAME, FRESH, FIXED = "inversion", "same", "fresh", "fixed"
LAYOUTS = OF_PROMPT, FIRST_PICTURE = "prompt", "first picture"
HIRES_PASSES = BOTH, BASE, HIRES = "both", "base", "hires"
TIME_CURVES = ("constant", "rising", "falling", "peak", "dip")
