"""Two WebUIs at the same time on one models folder: neither disturbs the other's pictures."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.host.generations import ROOT
from tests.miniature.tiny.linked import link_family

CHILD = """
import hashlib, json, random, sys, threading
import numpy as np
from PIL import Image
from tests.miniature import harness

root, data, models, turn = sys.argv[1:]
webui = harness.boot(data, root, models_dir=models)
webui.use("tiny_sd15.")
# A megabyte has room for five of the eight pictures below: each WebUI deletes what the other keeps.
webui.set(instantstyle_reference_store_mb=1)
from lib_instantstyle.references import vectors
from lib_instantstyle.methods import TABLE
from lib_instantstyle.styles.library import library

def reference(number):
    noise = np.random.default_rng(number).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    return harness.to_base64(Image.fromarray(noise))

references = [reference(number) for number in range(8)]
comments, made, styles = [], {}, []
from modules import processing
processing.StableDiffusionProcessing.comment = lambda self, text: comments.append(text)
done = threading.Event()

def look():
    while not done.wait(0.02):
        comments.extend(library(TABLE).refused())  # a style that is half there would be damaged

print("ready", flush=True)
sys.stdin.readline()
watch = threading.Thread(target=look)
watch.start()
chance = random.Random(turn)
for number in (chance.randrange(8) for _ in range(16)):
    vectors.cache().tensors.clear()  # so that what is on the disk counts
    unit = {"image": references[number]}
    scripts = {"InstantStyle": {"args": [unit]}}
    answer = webui.txt2img(expect=None, steps=1, alwayson_scripts=scripts)
    pixels = answer.pixels[0] if answer.status == 200 else repr(answer.body).encode()
    made.setdefault(str(number), set()).add(hashlib.sha256(pixels).hexdigest())
    saved = webui.post("/instantstyle/embed", {**unit, "name": f"style {number}"})
    styles.append(saved.status_code)
    if saved.status_code == 422 and "is there already" not in saved.text:
        comments.append(saved.text)
done.set()
watch.join()
print(json.dumps({"made": {k: sorted(v) for k, v in made.items()}, "comments": comments,
                  "styles": sorted(set(styles))}))
"""


@pytest.fixture
def models(tmp_path_factory):
    """A models folder of their own with the tiny models linked into it."""
    data = tmp_path_factory.mktemp("two")
    link_family(data)
    return data / "models"


def test_two_webuis_on_one_models_folder(models, tmp_path):
    both = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(ROOT), str(tmp_path / turn), str(models), turn],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for turn in ("a", "b")
    ]  # fmt: skip
    try:
        for webui in both:
            assert any(line == "ready\n" for line in webui.stdout)
        answers = [webui.communicate("go\n", timeout=600)[0] for webui in both]
    finally:
        for webui in both:
            webui.kill()
    assert [webui.returncode for webui in both] == [0, 0]
    told = [json.loads(answer.splitlines()[-1]) for answer in answers]
    assert [each["comments"] for each in told] == [[], []]
    assert sorted({status for each in told for status in each["styles"]}) == [200, 422]
    alone = {number: found for each in told for number, found in each["made"].items()}
    for each in told:  # one picture for each reference, the same in both
        assert all(len(found) == 1 for found in each["made"].values())
        assert {number: alone[number] for number in each["made"]} == each["made"]
    assert len({found[0] for found in alone.values()}) == len(alone)
    ours = models / "InstantStyle"
    assert [path for path in ours.rglob("*") if path.name.endswith(".tmp")] == []
    kept = sum(path.stat().st_size for path in (ours / "references").iterdir())
    assert 0 < kept <= 2**20
