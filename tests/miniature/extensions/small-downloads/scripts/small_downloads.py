"""Makes InstantStyle offer what the file named by INSTANTSTYLE_PUBLISHED lists, which is small."""

import json
import os
from pathlib import Path

from lib_instantstyle.pure import published_files

published_files.PUBLISHED_FILES = tuple(
    published_files.PublishedFile(**file)
    for file in json.loads(Path(os.environ["INSTANTSTYLE_PUBLISHED"]).read_text(encoding="utf-8"))
)
