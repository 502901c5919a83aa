"""Makes lib_instantstyle/data/stock_words.safetensors from stock CLIP files.

    python -m tests.stock_words open_clip_pytorch_model.bin text_encoder_2/model.safetensors ...

with .venv/engine's Python, which has OpenCLIP's tokenizer. Each file is a stock text encoder of
ViT-L/14, ViT-H/14 or ViT-bigG/14; the extension holds the text encoders of checkpoints to these
vectors (see lib_instantstyle/content/similarity.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from safetensors.torch import save

from lib_instantstyle.clip.text_encoder import load_text_encoder
from lib_instantstyle.content.similarity import PROBE_WORDS, STOCK_FILE
from lib_instantstyle.files.model_file import read_tensors
from lib_instantstyle.files.own_files import write_file
from lib_instantstyle.models.clip_kind import text_encoder_kind


def write_stock_words(
    files: Iterable[Path], out: Path, token_ids: Callable[[Sequence[str]], list[list[int]]]
) -> None:
    """Write what each text encoder in `files` makes of PROBE_WORDS to `out`, as float16."""
    found = {}
    for path in files:
        kind = text_encoder_kind(read_tensors(path))
        if kind is None:
            raise SystemExit(f"{path} holds no CLIP text encoder")
        encoder = load_text_encoder(path, kind, torch.device("cpu"), torch.float32)
        with torch.no_grad():
            vectors = encoder.encode(token_ids(PROBE_WORDS))
        found[str(kind.embedding_width)] = vectors.half().contiguous()
    write_file(out, save(found, metadata={"words": ",".join(PROBE_WORDS)}))


def main() -> None:
    from tests.unit.open_clip_encoders import tokenizer

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=STOCK_FILE)
    args = parser.parse_args()
    write_stock_words(args.files, args.out, lambda texts: [tokenizer.encode(t) for t in texts])
    print(f"{args.out}: {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
