"""Towers and pixels against transformers."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModelWithProjection

from lib_instantstyle.pure.catalog import scan
from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.tensor.embedding import image_vector
from lib_instantstyle.tensor.image_encoder import load_image_encoder
from lib_instantstyle.tensor.pictures import Picture, clip_pixels, open_picture
from tests.unit.adapters import write

CPU = torch.device("cpu")
LEVEL = 0.0151  # one 8-bit level in normalised units
TOWERS = {  # width, layers, mlp, projection, activation; shapes as odd as those of the real ones
    "H": (80, 3, 320, 32, "gelu"),
    "bigG": (112, 2, 552, 40, "gelu"),
    "L": (1024, 2, 64, 24, "quick_gelu"),
}


def hugging_face_tower(name):
    width, layers, mlp, projection, activation = TOWERS[name]
    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=16,
        projection_dim=projection,
        hidden_act=activation,
        image_size=224,
        patch_size=14,
    )
    torch.manual_seed(len(name))
    tower = CLIPVisionModelWithProjection(config).eval().requires_grad_(False)
    for parameter in tower.parameters():  # stock initialisation is too tame to tell gelus apart
        parameter.add_(torch.randn_like(parameter) * 0.05)
    return tower


def file_tensors(tower):
    tensors = {k: v.contiguous() for k, v in tower.state_dict().items()}
    tensors = {
        k if k.startswith(("vision_model", "visual_")) else f"vision_model.{k}": v
        for k, v in tensors.items()
    }
    tensors["vision_model.embeddings.position_ids"] = torch.arange(257)[None]
    return tensors


@pytest.mark.parametrize("name", list(TOWERS))
def test_image_vector_equals_transformers(name, tmp_path):
    oracle = hugging_face_tower(name)
    write(tmp_path / "misleading name.safetensors", file_tensors(oracle))
    (found,) = scan([tmp_path]).towers
    encoder = load_image_encoder(found.path, found.kind, CPU, torch.float32)
    pixels = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        theirs = oracle(pixels).image_embeds
        torch.testing.assert_close(encoder(pixels), theirs, atol=1e-5, rtol=1e-5)
    assert theirs.std() > 0.01


def picture(width, height, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


@pytest.mark.parametrize(
    "size", [(224, 224), (300, 200), (200, 301), (64, 48), (1000, 225), (17, 400), (1, 1)]
)
def test_pixels_equal_the_official_preprocessing(size):
    image = picture(*size)
    oracle = CLIPImageProcessorPil()(image, return_tensors="pt")["pixel_values"]
    ours = clip_pixels(image, 224)
    assert ours.shape == oracle.shape == (1, 3, 224, 224)
    assert (ours - oracle).abs().max() <= LEVEL


def test_a_picture_seen_before_costs_no_encoder(tmp_path, monkeypatch):
    from lib_instantstyle.tensor import embedding

    write(tmp_path / "t.safetensors", file_tensors(hugging_face_tower("H")))
    (found,) = scan([tmp_path]).towers
    built = []
    real = embedding.load_image_encoder
    monkeypatch.setattr(embedding, "load_image_encoder", lambda *a: built.append(a) or real(*a))
    first, again, other = (
        image_vector(Picture(picture(50, 50, seed), f"{seed}"), found, CPU, torch.float32)
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert len(built) == 2


def test_a_damaged_tower_is_refused_with_a_sentence(tmp_path):
    tensors = file_tensors(hugging_face_tower("H"))
    tensors["visual_projection.weight"][0, 0] = float("nan")
    write(tmp_path / "t.safetensors", tensors)
    (found,) = scan([tmp_path]).towers
    with pytest.raises(InstantStyleError, match=r"visual_projection.weight .* no finite numbers"):
        load_image_encoder(found.path, found.kind, CPU, torch.float32)
    del tensors["vision_model.pre_layrnorm.bias"]
    write(tmp_path / "u" / "t.safetensors", tensors)
    (found,) = scan([tmp_path / "u"]).towers
    with pytest.raises(InstantStyleError, match=r"pre_layrnorm\.bias cannot be read"):
        load_image_encoder(found.path, found.kind, CPU, torch.float32)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_picture_formats(file_format):
    buffer = io.BytesIO()
    picture(20, 10).save(buffer, file_format)
    image = open_picture(buffer.getvalue())
    assert image.size == (20, 10) and image.mode == "RGB"


def test_a_photograph_is_turned_upright():
    image = picture(20, 10)
    exif = image.getexif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    assert open_picture(buffer.getvalue()).size == (10, 20)
