"""The miniature's networks against diffusers and transformers, and the files it makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tests.miniature.networks import (
    SD15_TINY,
    SDXL_TINY,
    AutoencoderKL,
    attention_by,
    load_checkpoint,
)
from tests.miniature.networks.text import CLIP_L_TINY, OPEN_CLIP_TINY, CLIPTextModel
from tests.miniature.networks.to_diffusers import (
    diffusers_key,
    diffusers_unet,
    load_adapters,
    size_vector,
)
from tests.miniature.tiny import make_family
from tests.miniature.tiny.clip_vision import VIT_BIGG_TINY, VIT_H_TINY
from tests.miniature.tiny.webui_config import write_text_tower

CHECKPOINTS = ("tiny_sdxl", "tiny_sd15", "tiny_sd15_inpaint")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Layers this small gain nothing from a second thread, and on a busy machine they wait
    for it at every operation: seven times the time was seen with a parallel run beside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    # Made anew: the one that tests share may be older than the code that makes it.
    return make_family(tmp_path_factory.mktemp("family"))


@pytest.fixture(scope="module", params=CHECKPOINTS)
def checkpoint(request: pytest.FixtureRequest, family: dict[str, Path]):
    return load_checkpoint(family[request.param])


def unet_inputs(unet, batch: int = 2, size: int = 8, dtype=torch.float32) -> dict:
    generator = torch.Generator().manual_seed(1)

    def randn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(dtype)

    inputs = {
        "x": randn(batch, unet.in_channels, size, size),
        "timesteps": torch.tensor([17.0, 803.5][:batch]),
        "context": randn(batch, 77, unet.cfg.context_dim),
        "text_embeds": None,
        "time_ids": None,
        "y": None,
    }
    if unet.num_classes:
        inputs["text_embeds"] = randn(batch, OPEN_CLIP_TINY.embed_dim)
        inputs["time_ids"] = torch.tensor([[64, 48, 8, 0, 64, 48], [1024, 768, 0, 3, 512, 512]])
        inputs["y"] = size_vector(inputs["text_embeds"], inputs["time_ids"])
    return inputs


def call(unet, inputs: dict) -> torch.Tensor:
    with torch.no_grad():
        return unet(inputs["x"], inputs["timesteps"], context=inputs["context"], y=inputs["y"])


def call_diffusers(unet, inputs: dict) -> torch.Tensor:
    added = None
    if inputs["y"] is not None:
        added = {"text_embeds": inputs["text_embeds"], "time_ids": inputs["time_ids"]}
    with torch.no_grad():
        return unet(
            inputs["x"], inputs["timesteps"], inputs["context"], added_cond_kwargs=added
        ).sample


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-5)], ids=["f64", "f32"]
)
@pytest.mark.parametrize("attention", ["plain", "sdp"])
def test_unet_equals_diffusers(checkpoint, attention: str, dtype, tolerance: float) -> None:
    unet = checkpoint.model.diffusion_model.to(dtype)
    inputs = unet_inputs(unet, dtype=dtype)
    expected = call_diffusers(diffusers_unet(unet), inputs)
    with attention_by(attention):
        found = call(unet, inputs)
    unet.float()
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_diffusers_unet_from_file_and_from_state_dict(name: str, family) -> None:
    path = family[name]
    unet = load_checkpoint(path).model.diffusion_model
    inputs = unet_inputs(unet)
    expected = call(unet, inputs)
    with safe_open(str(path), framework="pt") as file:
        metadata = file.metadata()
    state = {key: tensor.float() for key, tensor in load_file(path).items()}
    for oracle in (diffusers_unet(path).float(), diffusers_unet(state, metadata)):
        torch.testing.assert_close(call_diffusers(oracle, inputs), expected, rtol=0, atol=2e-5)


def test_key_names_of_the_style_block() -> None:
    ldm = "output_blocks.1.1.transformer_blocks.9.attn2.to_k.weight"
    assert diffusers_key(ldm) == "up_blocks.0.attentions.1.transformer_blocks.9.attn2.to_k.weight"
    with pytest.raises(ValueError, match="no key"):
        diffusers_key("first_stage_model.encoder.conv_in.weight")


def test_vae_equals_diffusers(checkpoint) -> None:
    from diffusers import AutoencoderKL as Oracle
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    vae: AutoencoderKL = checkpoint.first_stage_model
    widths = [vae.cfg.ch * mult for mult in vae.cfg.ch_mult]
    oracle = Oracle(
        down_block_types=["DownEncoderBlock2D"] * len(widths),
        up_block_types=["UpDecoderBlock2D"] * len(widths),
        block_out_channels=widths,
        layers_per_block=vae.cfg.num_res_blocks,
    ).eval()
    state = {f"first_stage_model.{key}": tensor for key, tensor in vae.state_dict().items()}
    oracle.load_state_dict(convert_ldm_vae_checkpoint(state, oracle.config))
    pixels = torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(2)) * 2 - 1
    latents = torch.randn(1, 4, 8, 6, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        posterior = oracle.encode(pixels).latent_dist
        mean, logvar = vae.encode(pixels)
        torch.testing.assert_close(mean, posterior.mean, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(logvar, posterior.logvar, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(
            vae.decode(latents), oracle.decode(latents).sample, rtol=1e-5, atol=1e-5
        )


def test_clip_text_tower_equals_transformers() -> None:
    from transformers import CLIPTextConfig
    from transformers import CLIPTextModel as Oracle

    network = CLIPTextModel(CLIP_L_TINY).eval()
    config = CLIPTextConfig(
        hidden_size=CLIP_L_TINY.width,
        intermediate_size=CLIP_L_TINY.mlp_width,
        num_hidden_layers=CLIP_L_TINY.layers,
        num_attention_heads=CLIP_L_TINY.heads,
        hidden_act="quick_gelu",
    )
    oracle = Oracle(config).eval()
    # transformers 5 dropped the level `text_model.` that every checkpoint has.
    flat = not any(key.startswith("text_model.") for key in oracle.state_dict())
    cut = len("text_model.") if flat else 0
    oracle.load_state_dict({key[cut:]: tensor for key, tensor in network.state_dict().items()})
    tokens = torch.randint(0, 49406, (2, 77), generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        last, penultimate = network(tokens)
        expected = oracle(tokens, output_hidden_states=True)
    torch.testing.assert_close(last, expected.last_hidden_state, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(penultimate, expected.hidden_states[-2], rtol=1e-5, atol=1e-5)


def test_open_clip_tower_equals_the_projected_text_model_of_transformers(family) -> None:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    network = load_checkpoint(family["tiny_sdxl"]).conditioner.embedders[1].model
    cfg = OPEN_CLIP_TINY
    config = CLIPTextConfig(
        hidden_size=cfg.width,
        intermediate_size=cfg.mlp_width,
        num_hidden_layers=cfg.layers,
        num_attention_heads=cfg.heads,
        projection_dim=cfg.embed_dim,
        hidden_act="gelu",
        bos_token_id=49406,
        eos_token_id=49407,
        pad_token_id=0,
    )
    oracle = CLIPTextModelWithProjection(config).eval()
    state = network.state_dict()
    names = {
        "text_model.embeddings.token_embedding.weight": state["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": state["positional_embedding"],
        "text_model.final_layer_norm.weight": state["ln_final.weight"],
        "text_model.final_layer_norm.bias": state["ln_final.bias"],
        "text_projection.weight": state["text_projection"].T,
    }
    parts = {
        "layer_norm1": "ln_1",
        "layer_norm2": "ln_2",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
        "self_attn.out_proj": "attn.out_proj",
    }
    for i in range(cfg.layers):
        ours, theirs = f"transformer.resblocks.{i}", f"text_model.encoder.layers.{i}"
        for kind in ("weight", "bias"):
            for new, old in parts.items():
                names[f"{theirs}.{new}.{kind}"] = state[f"{ours}.{old}.{kind}"]
            packed = state[f"{ours}.attn.in_proj_{kind}"].chunk(3)
            for letter, tensor in zip("qkv", packed, strict=True):
                names[f"{theirs}.self_attn.{letter}_proj.{kind}"] = tensor
    oracle.load_state_dict(names)
    tokens = torch.randint(1, 49406, (2, 77), generator=torch.Generator().manual_seed(5))
    tokens[:, 0] = 49406
    tokens[0, 5], tokens[0, 6:] = 49407, 0
    tokens[1, 76] = 49407
    with torch.no_grad():
        hidden, pooled = network(tokens)
        expected = oracle(tokens, output_hidden_states=True)
    torch.testing.assert_close(hidden, expected.hidden_states[-2], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(pooled, expected.text_embeds, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "config"), [("CLIP-ViT-H-14", VIT_H_TINY), ("CLIP-ViT-bigG", VIT_BIGG_TINY)]
)
def test_image_encoders_load_into_transformers(name: str, config, family) -> None:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    state = load_file(family[name])
    positions = state.pop("vision_model.embeddings.position_ids")
    assert positions.tolist() == [list(range(257))]
    oracle = CLIPVisionModelWithProjection(CLIPVisionConfig(**config.transformers())).eval()
    oracle.load_state_dict(state)
    pictures = torch.stack([torch.zeros(3, 224, 224), torch.ones(3, 224, 224)])
    pictures = torch.cat([pictures, torch.linspace(-2, 2, 224).expand(1, 3, 224, 224)])
    with torch.no_grad():
        embeds = oracle(pixel_values=pictures).image_embeds
    assert embeds.shape == (3, config.embed_dim)
    assert embeds.isfinite().all()
    similarity = torch.cosine_similarity(embeds[:, None], embeds[None], dim=-1)
    assert similarity.fill_diagonal_(0).max() < 0.9  # pictures are told apart


@pytest.mark.parametrize(
    ("name", "cfg", "layers"),
    [
        ("ip-adapter_sdxl", SDXL_TINY, 70),
        ("ip-adapter_sdxl_vit-h", SDXL_TINY, 70),
        ("ip-adapter_sd15", SD15_TINY, 16),
        ("ip-adapter-plus_sdxl_vit-h", SDXL_TINY, 70),
        ("ip-adapter-plus_sd15", SD15_TINY, 16),
    ],
)
def test_adapters_fit_diffusers(name: str, cfg, layers: int, family) -> None:
    """Loaded by diffusers' own loader for IP-Adapters, which is strict about widths and order."""
    state = load_file(family[name])
    checkpoint = family["tiny_sdxl" if "sdxl" in name else "tiny_sd15"]
    unet = diffusers_unet(checkpoint)
    nested: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for key, tensor in state.items():
        half, _, rest = key.partition(".")
        nested[half][rest] = tensor
    numbers = {int(key.split(".")[0]) for key in nested["ip_adapter"]}
    assert numbers == set(range(1, 2 * layers, 2))
    load_adapters(unet, nested)
    processors = [p for p in unet.attn_processors.values() if hasattr(p, "to_k_ip")]
    assert len(processors) == layers
    expected = nested["ip_adapter"]["1.to_k_ip.weight"]
    assert torch.equal(processors[0].to_k_ip[0].weight.to(expected.dtype), expected)


def test_text_conditioning_has_the_webui_s_shapes(checkpoint) -> None:
    long = " ".join(f"word{i}" for i in range(80))
    cond = checkpoint.get_learned_conditioning(["a cat", long])
    if not checkpoint.is_sdxl:
        assert checkpoint.is_sd1
        assert cond.shape == (2, 154, 64)
        return
    assert checkpoint.cond_stage_model is checkpoint.conditioner
    assert cond["crossattn"].shape == (2, 154, 320)
    assert cond["vector"].shape == (2, SDXL_TINY.adm_in_channels)
    z, pooled = checkpoint.conditioner.embedders[1](["a cat"])
    assert z.shape == (1, 77, 256)
    # Padded into a longer batch, the pooled vector still comes from the first chunk alone.
    torch.testing.assert_close(pooled[0], cond["vector"][0, :256])

    class Negative(list):
        is_negative_prompt = True

    empty = checkpoint.get_learned_conditioning(Negative([""]))
    assert not empty["crossattn"].any()
    assert not empty["vector"][:, :256].any()
    assert empty["vector"][:, 256:].any()


def test_output_reacts_to_everything_and_survives_half_precision(checkpoint) -> None:
    unet = checkpoint.model.diffusion_model
    inputs = unet_inputs(unet)
    base = call(unet, inputs)
    assert 0.3 < base.std() < 3
    for name, change in {
        "x": inputs["x"].flip(0),
        "timesteps": inputs["timesteps"].flip(0),
        "context": inputs["context"].flip(0),
    }.items():
        moved = call(unet, {**inputs, name: change})
        assert (moved - base).std() > 0.05 * base.std(), name
    half = {k: v.half() if torch.is_tensor(v) else v for k, v in inputs.items()}
    assert call(unet.half(), half).isfinite().all()
    unet.float()


def test_image_encoder_is_nearly_certain(checkpoint) -> None:
    for pixels in (torch.zeros(1, 3, 64, 64), torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)):
        with torch.no_grad():
            mean, logvar = checkpoint.first_stage_model.encode(pixels)
        assert logvar.max() < -6
        assert 0.2 < (checkpoint.scale_factor * mean).std() < 3


def test_no_module_is_left_at_zero(family) -> None:
    for path in family.values():
        for key, tensor in load_file(path).items():
            assert tensor.any(), f"{path.name}: {key}"
            assert tensor.isfinite().all(), f"{path.name}: {key}"


def test_files_are_deterministic_and_rewritten_only_when_torn(tmp_path: Path, family) -> None:
    names = ["CLIP-ViT-H-14", "ip-adapter_sd15"]
    first = make_family(tmp_path, which=names)
    for name in names:
        assert first[name].read_bytes() == family[name].read_bytes()
    kept = first["CLIP-ViT-H-14"].stat().st_mtime_ns
    torn = first["ip-adapter_sd15"]
    torn.write_bytes(torn.read_bytes()[:-100])
    make_family(tmp_path, which=names)
    assert torn.read_bytes() == family["ip-adapter_sd15"].read_bytes()
    assert first["CLIP-ViT-H-14"].stat().st_mtime_ns == kept
    other = make_family(tmp_path, seed=1, which=names)
    assert other["ip-adapter_sd15"].read_bytes() != family["ip-adapter_sd15"].read_bytes()
    assert not list(tmp_path.rglob("*.part"))


def test_yaml_beside_every_checkpoint_names_the_text_tower(family) -> None:
    for name in CHECKPOINTS:
        text = family[name].with_suffix(".yaml").read_text()
        model = json.loads(text)["model"]
        assert model["params"]
        network = family[name].parents[1] / "tiny_clip_text"
        assert str(network) in text
        assert json.loads((network / "config.json").read_text())["hidden_size"] == 64


def test_tokenizer_folder_loads_into_transformers(tmp_path: Path) -> None:
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(str(write_text_tower(tmp_path)))
    ids = tokenizer("A cat")["input_ids"]
    assert (ids[0], ids[-1]) == (49406, 49407)
    assert len(ids) > 2


def test_unknown_member_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tiny_flux"):
        make_family(tmp_path, which=["tiny_sd15", "tiny_flux"])
    assert not list(tmp_path.iterdir())  # refused before anything is written
