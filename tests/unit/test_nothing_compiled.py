"""torch's compiler, a second's import, is not fetched by anything of ours."""

import json
import subprocess
import sys
from pathlib import Path

from tests.unit.adapters import write
from tests.unit.image_encoders import open_clip_tensors
from tests.unit.text_encoders import open_clip_text_encoder, open_clip_text_tensors

ROOT = Path(__file__).parents[2]
LOAD = """
import json, sys
from pathlib import Path
import torch
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.clip.image_encoder import load_image_encoder
from lib_instantstyle.clip.text_encoder import load_text_encoder
known = scan([Path(sys.argv[1])])
cpu = torch.device("cpu")
before = set(sys.modules)
with torch.no_grad():
    file = known.image_encoders[0]
    image = load_image_encoder(file.path, file.kind, cpu, torch.float32)
    image(torch.zeros(1, 3, 224, 224))
    file = known.text_encoders[0]
    text = load_text_encoder(file.path, file.kind, cpu, torch.float32)
    text.encode([[320]])
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_encoders_are_built_without_it(tmp_path):
    write(tmp_path / "image.safetensors", open_clip_tensors("H"))
    write(tmp_path / "text.safetensors", open_clip_text_tensors(open_clip_text_encoder("H")))
    run = [sys.executable, "-c", LOAD, str(tmp_path)]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    fetched = json.loads(done.stdout.splitlines()[-1])
    assert [name for name in fetched if name.split(".")[:2] == ["torch", "_dynamo"]] == []
    assert "sympy" not in fetched
