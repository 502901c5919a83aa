"""From a picture and words to the UNet's output, against transformers and diffusers.

The official computation: the image vector of transformers' image encoder minus the scaled,
projected and pooled vector of its text encoder, through diffusers' projection and diffusers' UNet.
"""

import numpy as np
import pytest
import torch

from lib_instantstyle.hosts import context
from tests.miniature.networks.unet import SD15_TINY, SDXL_TINY
from tests.unit.adapter_world import World
from tests.unit.adapters import adapter_tensors, write
from tests.unit.content_oracles import remove_subspace, split2
from tests.unit.image_encoders import (
    ENCODERS,
    hugging_face_encoder,
    hugging_face_tensors,
    image_embeds,
)
from tests.unit.pictures import reference
from tests.unit.text_encoders import hugging_face_text_encoder, hugging_face_text_tensors, padded
from tests.unit.text_hosts import Loaded, TextHost, word_ids
from tests.unit.webui_host import prepared
from tests.units import parse_unit

WIDTH = ENCODERS["H"][3]


@pytest.fixture(scope="module", params=[SDXL_TINY, SD15_TINY], ids=["sdxl", "sd15"])
def world(request):
    return World(request.param)


@pytest.fixture
def models(world, tmp_path, monkeypatch):
    monkeypatch.setattr(context, "model_folders", lambda: [tmp_path])
    write(tmp_path / "clip.pth", hugging_face_tensors(hugging_face_encoder("H")))
    write(tmp_path / "text.bin", hugging_face_text_tensors(hugging_face_text_encoder("H")))
    write(tmp_path / "adapter.safetensors", adapter_tensors(world.layers, WIDTH))
    return tmp_path


def text_embeds(*texts):
    with torch.no_grad():
        return hugging_face_text_encoder("H")(padded(word_ids(texts), 0)).text_embeds


def plan_of(world, host, **unit):
    _, text = reference()
    given = parse_unit({"image": text, "preset": "original", **unit})
    return prepared([given], world.layers, host).plan


@pytest.mark.parametrize(
    ("content", "scale"), [("a cup", 0.5), ("a cup of coffee", 1.3), ("a cup | a spoon", 0.8)]
)
def test_the_unet_paints_what_the_official_computation_paints(world, models, content, scale):
    plan = plan_of(world, TextHost(models), content=content, content_scale=scale)
    texts = [text.strip() for text in content.split("|")]
    official = image_embeds() - scale * text_embeds(*texts).mean(dim=0)
    _, unet = world.adapter("linear", WIDTH)
    with torch.no_grad():
        ours = world.run(plan)
        theirs = world.run_diffusers(unet, 1.0, official, torch.zeros(WIDTH))
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
        whole = world.run(plan_of(world, TextHost(models)))
    assert (ours - whole)[0].abs().max() > 1e-3  # a prompt row
    assert torch.equal(ours[1], whole[1])  # a negative-prompt row


@pytest.mark.parametrize("content", ["a cup", "a cup | a spoon"])
@pytest.mark.parametrize("given", [
    {"content_mode": "mask"},
    {"content_mode": "mask", "content_share": 0},
    {"content_mode": "subspace"},
])  # fmt: skip
def test_the_unet_paints_what_the_formula_leaves(world, models, content, given):
    """The formula is numpy's, on transformers' vectors; the UNet and the projection diffusers'."""
    plan = plan_of(world, TextHost(models), content=content, content_scale=0.8, **given)
    texts = text_embeds(*(text.strip() for text in content.split("|"))).double().numpy()
    image = image_embeds().double().numpy()
    if given["content_mode"] == "subspace":
        official = remove_subspace(image, texts, 0.8)
    else:
        one_by_one = [image / np.linalg.norm(image) * t / np.linalg.norm(t) for t in texts]
        at = [split2(p) if "content_share" in given else np.quantile(p, 0.8) for p in one_by_one]
        masked = np.any([p > threshold for p, threshold in zip(one_by_one, at)], axis=0)
        official = np.where(masked, 0.2 * image, image)
    _, unet = world.adapter("linear", WIDTH)
    with torch.no_grad():
        ours = world.run(plan)
        theirs = world.run_diffusers(
            unet, 1.0, torch.from_numpy(official).float(), torch.zeros(WIDTH)
        )
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
        whole = world.run(plan_of(world, TextHost(models)))
    assert (ours - whole)[0].abs().max() > 1e-3  # a prompt row
    assert torch.equal(ours[1], whole[1])  # a negative-prompt row


@pytest.mark.parametrize("off", [{"content": "a cup", "content_scale": 0}, {"content": " | "}])
def test_nothing_to_subtract_changes_no_bit(world, models, off):
    with torch.no_grad():
        whole = world.run(plan_of(world, TextHost(models)))
        assert torch.equal(world.run(plan_of(world, TextHost(models), **off)), whole)


def test_a_reference_that_is_its_text_becomes_the_zero_image(world, models):
    class Same(Loaded):
        def _vector(self, text):
            return image

    whole = plan_of(world, TextHost(models))
    image = _image_vector(models)
    host = TextHost(models, Same(WIDTH))
    plan = plan_of(world, host, content="itself", content_scale=1, clip_source="loaded")
    assert plan.terms
    for term, before in zip(plan.terms, whole.terms):
        assert torch.equal(term.key[0], term.key[-1]) and torch.equal(term.value[0], term.value[-1])
        assert not torch.equal(before.key[0], before.key[-1])


def test_a_reference_that_is_masked_as_a_whole_becomes_the_zero_image(world, models):
    class Both(Loaded):
        def _vector(self, text):
            return image if text == "itself" else -image

    plan_of(world, TextHost(models))
    image = _image_vector(models)
    plan = plan_of(
        world, TextHost(models, Both(WIDTH)), content="itself | its opposite", content_scale=1,
        clip_source="loaded", content_mode="mask", content_share=1,
    )  # fmt: skip
    for term in plan.terms:
        assert torch.equal(term.key[0], term.key[-1]) and torch.equal(term.value[0], term.value[-1])


def _image_vector(models):
    """The very vector that is subtracted from, as it is remembered."""
    from lib_instantstyle.references import vectors

    (vector,) = (v for k, v in vectors.cache().tensors.items() if str(models) in str(k))
    return vector
