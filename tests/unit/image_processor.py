"""transformers' preparation of a picture for CLIP, with Pillow; its name depends on the version."""

import transformers

if hasattr(transformers, "CLIPImageProcessorPil"):  # version 5: the plain name needs torchvision
    CLIPImageProcessor = transformers.CLIPImageProcessorPil
else:

    class CLIPImageProcessor(transformers.CLIPImageProcessor):
        """That of version 4 would take the height of one to three rows for the channels."""

        def __call__(self, images, **options):
            return super().__call__(images, input_data_format="channels_last", **options)
