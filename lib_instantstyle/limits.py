"""How much a file, text or request may ask for: every budget, each with its reason.

Code that reads input compares it with these before the work grows with the input.
"""

from __future__ import annotations

KIB, MIB = 2**10, 2**20

# Texts.
TEXT_CHARACTERS = 1024  # of a name or a text in a field: more words than any text encoder reads
BLOCKS_CHARACTERS = 16 * KIB  # of block weights: each layer of SDXL by its longest name has 4,000
BLOCK_ENTRIES = 256  # of block weights: SDXL has 11 transformers, in 70 layers
INFOTEXT_CHARACTERS = 64 * KIB  # of a unit's line: all its texts full and escaped have less
TAG_CHARACTERS = 4 * KIB  # of a tag in the prompt: it sets a few fields
DIGITS = 20  # of a whole number, as many as 64 bits need; reading longer ones takes their square
DEPTH = 64  # of brackets in JSON: a request for a picture has 8, Python stands some hundreds
WORDS = 100  # suggested for one reference: a page shows 8

# Requests.
UNITS = 10  # in one request: the page has up to as many
TAGS = 10  # in one prompt
STEPS = 1000  # of a sampler: as many as a model was trained with
BATCH = 1000  # pictures in one batch
REFERENCES = 16  # in one unit: they stand in one batch of the image encoder, or two
REFERENCE_ENTRIES = 256  # in its list, with empty ones, which clients send for "none"
REQUEST_BYTES = 256 * MIB  # a few references of the largest size allowed, as base64

# Pictures.
PICTURE_BYTES = 64 * MIB  # of a file: a camera's largest JPEG has half of it
PICTURE_PIXELS = 128 * MIB  # of one: a camera of 100 megapixels
REQUEST_PIXELS = 256 * MIB  # of all different ones of a request: twenty of a phone, 1 GB as RGB
PASTED_BYTES = 128 * MIB  # of the pictures that pasted infotext brings back into one box
SENT_PICTURES = 8192  # of which it is known who sent them, on a public page: 2 MB of memory
WHOLE_PIXELS = 24 * MIB  # of one that is kept as it came; larger ones are made smaller as they come
SHRUNK_SIDE = 1024  # that the short side keeps then: twice what any image encoder takes
MASK_SIDE = 2048  # of a mask that is looked at as it came: pictures are seldom made larger
ADDRESS_SECONDS = 30.0  # from asking for a picture's address to its last byte
REQUEST_SECONDS = 60.0  # for all addresses of a request, after which no other is begun
ADDRESSES_AT_ONCE = 4  # outside generations: each keeps one of the server's threads waiting
REDIRECTS = 5  # on the way there: shops and photo hosts have one or two

# Model files.
PICKLE_BYTES = 4 * MIB  # of a table of contents: that of a full SDXL checkpoint has 0.4
PICKLE_STEPS = 500_000  # and takes 80,000
PICKLE_ENTRIES = 200_000  # in it and the dictionaries it holds, which may hold one another
PICKLE_NESTING = 4  # dictionaries in one another: training scripts use up to three
CALL_ARGUMENTS = 8  # of what a pickle calls: a tensor takes seven
HEADER_BYTES = 16 * MIB  # of a .safetensors file: stock full checkpoints stay under 1
TENSOR_NAME = 512  # characters: LoRAs have up to 130
DIMENSIONS = 16  # of a tensor: convolutions have four
TIMES_STORED = 2  # how often all that a file stores may be claimed: two names may share one tensor
LAYERS = 128  # of an encoder or a resampler: ViT-bigG has 48
ENCODER_SIDE = 2048  # pixels that an image encoder takes to a side: CLIP's take up to 448

# Saved styles.
STYLE_BYTES = 64 * MIB  # of a file: 16 references of ViT-bigG have 15
THUMBNAIL_BYTES = 128 * KIB  # of its picture: a JPEG of 256 x 256 has 20
ENCODER_NUMBER = 16384  # the largest that describes its encoder: widths end at 1664 so far
