"""python -m tests.miniature.tiny --out DIR"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from . import MEMBERS, make_family


def main() -> None:
    parser = argparse.ArgumentParser(description="Write tiny random models under DIR/models.")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--which", nargs="*", choices=list(MEMBERS), help="default: all of them")
    parser.add_argument("--bpe", type=Path, help="OpenCLIP's bpe_simple_vocab_16e6.txt.gz")
    args = parser.parse_args()
    start = time.perf_counter()
    paths = make_family(args.out, args.seed, args.which, args.bpe)
    for name, path in paths.items():
        print(f"{path.stat().st_size / 1e6:8.2f} MB  {name}")
    total = sum(path.stat().st_size for path in paths.values()) / 1e6
    print(f"{total:8.2f} MB  in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
