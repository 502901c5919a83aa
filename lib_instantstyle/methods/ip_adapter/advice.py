"""What to change when a result does not look right.

The order is that of docs/effect.md and of InstantStyle's and IPAdapter plus's own advice: first the
weight, then the blocks; against content first the blocks, then the words.
"""

from __future__ import annotations

from lib_instantstyle.units.advice import BURNT, CONTENT, STRONG, WEAK, Advice, By, Set
from lib_instantstyle.units.presets import DEFAULT_PRESET

ADVICE: Advice = {
    WEAK: (
        By("weight", 0.25, 1.5, above=0),
        Set({"blocks": ""}),
        # More blocks need less weight: content comes along.
        Set({"preset": "strong style", "weight": 0.8}),
    ),
    STRONG: (By("weight", -0.25, 0.25), By("end", -0.2, 0.4)),
    CONTENT: (
        Set({"blocks": ""}),
        Set({"preset": DEFAULT_PRESET}),
        By("auto_content", 3, 3),
        Set({"negative_content": True}),
        By("content_scale", 0.25, 1),
        By("weight", -0.2, 0.6),
    ),
    BURNT: (
        By("weight", -0.2, 0.6),
        By("end", -0.2, 0.8),
        Set({"embeds_scaling": "K+mean(V) w/ C penalty"}),
    ),
}
