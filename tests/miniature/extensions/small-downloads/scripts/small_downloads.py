"""Makes InstantStyle offer what the file named by INSTANTSTYLE_PUBLISHED lists, which is small."""

import json
import os
from pathlib import Path

from lib_instantstyle.models import published

published.PUBLISHED_FILES = tuple(
    published.PublishedFile(**file)
    for file in json.loads(Path(os.environ["INSTANTSTYLE_PUBLISHED"]).read_text(encoding="utf-8"))
)
