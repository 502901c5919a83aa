"""Every file people have, recognised by what is in it whatever it is called, or refused by name."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.tensor_info import TensorInfo
from lib_instantstyle.layout import SD15, SDXL
from lib_instantstyle.methods.ip_adapter.projections import image_tokens, keys_and_values
from lib_instantstyle.models.adapter_kind import LinearShape, MlpShape, ResamplerShape, adapter_kind
from lib_instantstyle.models.catalog import scan
from tests.unit import stock
from tests.unit.adapters import adapter_tensors, as_diffusers, write
from tests.unit.left_out import SAVES_FLOAT8
from tests.unit.unets import unet_like

MISLEADING = "portrait_v2/faceid instantid kolors sdxl sd15 plus/pulid_flux_ViT-L.safetensors"
EXPECTED = {  # layout, projection, tokens, width of what it takes, heads
    "ip-adapter_sd15": (SD15, LinearShape, 4, 1024, None),
    "ip-adapter_sd15_light": (SD15, LinearShape, 4, 1024, None),
    "ip-adapter_sd15_vit-G": (SD15, LinearShape, 4, 1280, None),
    "ip-adapter-plus_sd15": (SD15, ResamplerShape, 16, 1280, 12),
    "ip-adapter-plus-face_sd15": (SD15, ResamplerShape, 16, 1280, 12),
    "ip-adapter-full-face_sd15": (SD15, MlpShape, None, 1280, None),
    "ip_plus_composition_sd15": (SD15, ResamplerShape, 16, 1280, 12),
    "ip-adapter_sdxl": (SDXL, LinearShape, 4, 1280, None),
    "ip-adapter_sdxl_vit-h": (SDXL, LinearShape, 4, 1024, None),
    "ip-adapter-plus_sdxl_vit-h": (SDXL, ResamplerShape, 16, 1280, 20),
    "ip-adapter-plus-face_sdxl_vit-h": (SDXL, ResamplerShape, 16, 1280, 20),
    "ip_plus_composition_sdxl": (SDXL, ResamplerShape, 16, 1280, 20),
}


@pytest.mark.parametrize("name", list(stock.ADAPTERS))
@pytest.mark.parametrize("file_name", [MISLEADING, "clip_vision/a.bin"])
def test_stock_adapters_in_their_real_shapes(name, file_name, tmp_path):
    shapes, parameters = stock.ADAPTERS[name]
    assert stock.count(shapes) == parameters
    stock.write_hole(tmp_path / file_name, shapes)
    catalog = scan([tmp_path])
    assert not catalog.refused and not catalog.image_encoders
    (kind,) = (adapter.kind for adapter in catalog.adapters)
    projection = kind.projection
    assert (
        kind.layout,
        type(projection),
        getattr(projection, "tokens", None),
        projection.feature_width,
        getattr(projection, "heads", None),
    ) == EXPECTED[name]
    assert kind.context_width == stock.CONTEXT[kind.layout.id]
    assert dict(kind.layer_widths) == stock.layer_widths(kind.layout)
    assert projection.output_width == kind.context_width


@pytest.mark.parametrize("name", list(stock.FOREIGN))
def test_relatives_are_refused_by_what_they_are(name, tmp_path):
    shapes, called = stock.FOREIGN[name]
    stock.write_hole(tmp_path / "ip-adapter_sdxl.safetensors", shapes)
    catalog = scan([tmp_path])
    assert not catalog.adapters and not catalog.image_encoders
    for asked in ("ip-adapter_sdxl", "ip-adapter_sdxl.safetensors"):
        with pytest.raises(InstantStyleError) as caught:
            catalog.adapter(asked)
        sentence = str(caught.value)
        assert sentence.startswith(f"ip-adapter_sdxl.safetensors is {called}")
        assert "for style use ip-adapter_sdxl" in sentence and sentence.endswith(".")
        assert sentence.count(". ") == 0


def renamed(shapes, image_proj, ip_adapter):
    return {
        name.replace("image_proj.", image_proj).replace("ip_adapter.", ip_adapter): shape
        for name, shape in shapes.items()
    }


@pytest.mark.parametrize("name", ["ip-adapter_sd15", "ip-adapter-plus_sdxl_vit-h"])
def test_layouts_of_training_are_the_same_adapter(name, tmp_path):
    shapes, _ = stock.ADAPTERS[name]
    stock.write_hole(tmp_path / "a.safetensors", shapes)
    stock.write_hole(tmp_path / "b.safetensors", renamed(shapes, "image_proj.", "adapter_modules."))
    trained = renamed(shapes, "image_proj_model.", "adapter_modules.")
    unet = {"unet.conv_in.weight": (320, 4, 3, 3), "unet.time_embedding.linear_1.bias": (1280,)}
    stock.write_hole(tmp_path / "c.safetensors", {**unet, **trained})
    first, second, third = (adapter.kind for adapter in scan([tmp_path]).adapters)
    assert first == second == third


@pytest.mark.parametrize("name", list(stock.ENCODERS))
@pytest.mark.parametrize("layout", ["Hugging Face", "OpenCLIP"])
def test_stock_encoders_in_their_real_shapes(name, layout, tmp_path):
    width, layers, mlp, embedding, parameters = stock.ENCODERS[name]
    describe = {"Hugging Face": stock.hugging_face_encoder, "OpenCLIP": stock.open_clip_encoder}[
        layout
    ]
    shapes = describe(width, layers, mlp, embedding)
    assert stock.count(shapes) == parameters
    stock.write_hole(tmp_path / "ip-adapter" / "sdxl.safetensors", shapes)
    text = {
        "text_model.encoder.layers.0.mlp.fc1.weight": (3072, 768),
        "transformer.resblocks.0.mlp.c_fc.weight": (3072, 768),
        "text_projection": (768, 768),
        "logit_scale": (),
    }
    stock.write_hole(tmp_path / "full" / "pytorch_model.bin", {**text, **shapes})
    catalog = scan([tmp_path])
    assert not catalog.adapters and not catalog.refused
    for encoder_file in catalog.image_encoders:
        kind = encoder_file.kind
        assert (kind.layout, kind.width, kind.layers) == (layout, width, layers)
        assert (kind.mlp_width, kind.embedding_width) == (mlp, embedding)
        assert (kind.patch, kind.image_size, kind.heads) == (14, 224, 16)
    assert len(catalog.image_encoders) == 2


NOT_A_ENCODER = {
    "SigLIP, which has no class token": {"vision_model.embeddings.position_embedding.weight":
                                         (256, 1024)},
    "pooled by attention": {"visual.attn_pool.query": (256, 1024)},
    "a layer missing": {name: None for name in stock.open_clip_encoder(*stock.ENCODERS["ViT-L"][:4])
                        if ".resblocks.7." in name},
    "no class embedding": {"visual.class_embedding": None},
}  # fmt: skip


@pytest.mark.parametrize("case", list(NOT_A_ENCODER))
def test_what_is_no_plain_clip_encoder_is_not_listed(case, tmp_path):
    hugging_face = case.startswith("SigLIP")
    describe = stock.hugging_face_encoder if hugging_face else stock.open_clip_encoder
    shapes = describe(*stock.ENCODERS["ViT-L"][:4]) | NOT_A_ENCODER[case]
    stock.write_hole(tmp_path / "a.safetensors", {n: s for n, s in shapes.items() if s})
    assert scan([tmp_path]).image_encoders == ()


def infos(shapes, dtype="F16"):
    return {name: TensorInfo(dtype, shape, 0) for name, shape in shapes.items()}


DAMAGED = {
    "value missing": ({"ip_adapter.3.to_v_ip.weight": None}, "has a layer 3 whose key is of shape"),
    "key of another shape": (
        {"ip_adapter.5.to_k_ip.weight": (320, 768)},
        "has a layer 5 whose key is of shape \\(320, 768\\) and whose value is of shape",
    ),
    "two contexts": (
        {"ip_adapter.1.to_k_ip.weight": (320, 99), "ip_adapter.1.to_v_ip.weight": (320, 99)},
        "text tokens of different widths",
    ),
    "no projection": (
        {"image_proj.proj.weight": None, "image_proj.norm.weight": None},
        "an IP-Adapter of an unknown kind",
    ),
    "half a token": ({"image_proj.proj.weight": (3000, 1024)}, "an IP-Adapter of an unknown kind"),
}


@pytest.mark.parametrize("case", list(DAMAGED))
def test_a_damaged_adapter_is_refused_by_what_is_wrong(case):
    changes, sentence = DAMAGED[case]
    shapes = stock.ADAPTERS["ip-adapter_sd15"][0] | changes
    with pytest.raises(InstantStyleError, match=sentence):
        adapter_kind(infos({name: shape for name, shape in shapes.items() if shape}))


def test_tokens_of_another_width_than_the_layers_take_are_refused():
    shapes = stock.adapter(SDXL, stock.resampler(768, 1280, 768))
    with pytest.raises(InstantStyleError, match="tokens of width 768, but its layers take 2048"):
        adapter_kind(infos(shapes))


def test_whole_numbers_are_no_weights():
    shapes = stock.ADAPTERS["ip-adapter_sd15"][0]
    with pytest.raises(InstantStyleError, match=r"stores image_proj\.proj\.weight as I8"):
        adapter_kind(infos(shapes, "I8"))


CPU = torch.device("cpu")
SMALL = {
    kind: adapter_tensors(unet_like(SD15), 24, projection=kind)
    for kind in ("linear", "plus", "full-face")
}


@pytest.mark.parametrize("kind", list(SMALL))
def test_a_projection_is_never_used_without_one_of_its_tensors(tmp_path, kind):
    """Each left out alone; a layer of a Resampler must not go unseen for what it lacks."""
    feature = torch.zeros(1, 24) if kind == "linear" else torch.zeros(1, 257, 24)
    left_out = [name for name in SMALL[kind] if name.startswith("image_proj")]
    for number, name in enumerate(left_out):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / "a.safetensors"
        write(path, {other: tensor for other, tensor in SMALL[kind].items() if other != name})
        catalog = scan([folder])
        if catalog.refused:
            assert "an IP-Adapter of an unknown kind" in catalog.refused[0][1]
            continue
        (adapter,) = catalog.adapters
        with pytest.raises(InstantStyleError, match=re.escape(name)):
            image_tokens(path, adapter.kind, feature, CPU)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_part_of_an_adapter_loads_or_is_refused_with_a_sentence(tmp_path_factory, data):
    """Random subsets of its tensors, types and orders, in every format."""
    kind = data.draw(st.sampled_from(list(SMALL)))
    tensors = SMALL[kind]
    layers = data.draw(st.sets(st.sampled_from(sorted(SD15.by_number))))
    drop = data.draw(st.sets(st.sampled_from(sorted(tensors)), max_size=2))
    names = [
        name
        for name in data.draw(st.permutations(list(tensors)))
        if (name.startswith("image_proj") or int(name.split(".")[1]) in layers) and name not in drop
    ]
    dtype = data.draw(
        st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.float64,
                         torch.float8_e4m3fn, torch.int8])
    )  # fmt: skip
    suffixes = ["safetensors", "bin", "nested bin"]
    saved = SAVES_FLOAT8 or dtype is not torch.float8_e4m3fn
    suffix = data.draw(st.sampled_from(suffixes if saved else suffixes[:1]))
    if not names:
        return
    chosen = {name: tensors[name].to(dtype) for name in names}
    folder = tmp_path_factory.mktemp("part")
    path = folder / ("a.safetensors" if suffix == "safetensors" else "a.bin")
    write(path, as_diffusers(chosen) if suffix == "nested bin" else chosen)
    catalog = scan([folder])
    if not catalog.adapters:
        if any(name.startswith("ip_adapter") for name in names):
            ((_, sentence),) = catalog.refused
            assert sentence.startswith(path.name) and sentence.endswith(".")
        return
    (adapter,) = catalog.adapters
    assert set(adapter.kind.layer_widths) <= layers
    feature = torch.zeros(257, 24) if kind != "linear" else torch.zeros(24)
    try:
        with torch.no_grad():
            tokens = image_tokens(path, adapter.kind, torch.stack([feature, feature]), CPU)
            banks = keys_and_values(path, adapter.kind.layer_widths, tokens)
    except InstantStyleError as error:
        assert drop and str(error).startswith(path.name)
        assert any(name in str(error) or "of shape" in str(error) for name in drop)
        return
    assert not any(name.startswith("image_proj") for name in drop)
    assert tokens.shape[-1] == 16 and torch.isfinite(tokens).all()
    for number in adapter.kind.layer_widths:
        key, value = banks[number]
        expected = tokens @ chosen[f"ip_adapter.{number}.to_k_ip.weight"].to(torch.float32).T
        torch.testing.assert_close(key, expected)
        assert value.shape == key.shape == (2, tokens.shape[1], 8)
