"""What CLIP sees of a reference, with everything a unit asks for done to it."""

from __future__ import annotations

from PIL import Image

from lib_instantstyle.tensor.crops import crop_views
from lib_instantstyle.tensor.reference_mask import masked
from lib_instantstyle.tensor.sharpening import sharpened


def reference_views(
    image: Image.Image,
    size: int = 224,
    crop: str = "center",
    sharpening: float = 0.0,
    mask: Image.Image | None = None,
) -> list[Image.Image]:
    """The `size` x `size` pictures that CLIP sees of the RGB picture `image`: masked, cropped and
    sharpened, in this order. clip_view.normalised makes CLIP's input of them.

    Several only for the crop "tiles"; CLIP's answers to these are to be averaged. Raises
    InstantStyleError for an unknown crop and for a mask that marks nothing.
    """
    if mask is not None:
        image = masked(image, mask)
    return [sharpened(view, sharpening) for view in crop_views(image, crop, size)]
