"""What is trained outside a WebUI says the same inside one: every file against what wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lib_instantstyle.clip.image_encoder import load_image_encoder
from lib_instantstyle.layout import SDXL
from lib_instantstyle.methods.ip_adapter.projections import image_tokens, keys_and_values
from lib_instantstyle.methods.ip_adapter.terms import attention_term
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.unet.injection import Clock
from lib_instantstyle.unet.layers import find_layers
from lib_instantstyle.unet.plan import Plan, layer_weights
from lib_instantstyle.unet.rows import NEGATIVE, PROMPT
from tests.engine import inject
from tests.miniature.modules.denoisers import CompVisDenoiser
from tests.miniature.networks import load_checkpoint
from tests.miniature.networks.checkpoint import alphas_cumprod
from tests.miniature.tiny.webui_config import byte_units, find_bpe, read_merges
from tests.trained.attention import training_attention
from tests.trained.base import to_latents, to_pictures
from tests.trained.captions import (
    ALL_CAPTIONS,
    CLIP_IDS,
    SLOTS,
    contexts,
    row_ids,
    word_vector,
)
from tests.trained.clip import normalised
from tests.trained.family import ADAPTER, STYLE_ADAPTER, judges_of, kept_weights
from tests.trained.sampling import sample, schedule
from tests.trained.world import scenes
from tests.unit.small_family import untrained
from tests.units import parse_unit

CHECKPOINT_YAML = Path("Stable-diffusion", "world_sdxl.yaml")
SOME = torch.tensor([0, 3, 17, len(ALL_CAPTIONS) - 1])  # captions: none, look, both, both


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    return untrained(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def model(trained: SimpleNamespace):
    return load_checkpoint(trained.models / "Stable-diffusion" / "world_sdxl.safetensors")


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return torch.from_numpy(scenes(np.random.default_rng(1), 3).pictures)


def enlarged(pictures: torch.Tensor, scale: int) -> torch.Tensor:
    return pictures.repeat_interleave(scale, 2).repeat_interleave(scale, 3)


def noisy(count: int) -> torch.Tensor:
    return torch.randn(count, 4, 32, 32, generator=torch.Generator().manual_seed(1))


def test_a_prompt_means_in_the_webui_what_it_meant_in_training(trained, model) -> None:
    told = model.get_learned_conditioning([ALL_CAPTIONS[number] for number in SOME])
    context, y = trained.prompts(SOME)
    counts = context.log_counts.exp().round().int()[:, 0, 0]
    for rows, count, real in zip(context.rows, counts, told["crossattn"], strict=True):
        assert torch.equal(rows.repeat_interleave(count, dim=0), real)
    torch.testing.assert_close(told["vector"][:, :256], y[:, :256], rtol=1e-3, atol=1e-3)
    assert counts.sum(1).tolist() == [77] * len(SOME)
    assert len(counts[0]) == SLOTS


def test_the_words_are_where_clip_s_own_tokenizer_looks(model) -> None:
    """Oracle: the vocabulary that the open_clip package ships."""
    merges = read_merges(find_bpe())
    first_merge = 2 * len(byte_units())
    numbers = {"".join(pair): first_merge + i for i, pair in enumerate(merges)}
    letters = {f"{unit}</w>": first_merge // 2 + i for i, unit in enumerate(byte_units())}
    assert {word: (numbers | letters)[f"{word}</w>"] for word in CLIP_IDS} == CLIP_IDS
    used = [number for ids in row_ids().values() for number in ids]
    assert len(set(used)) == len(used) == 2 * len(CLIP_IDS) + 3
    table = model.conditioner.embedders[1].model.token_embedding.weight
    for word, number in CLIP_IDS.items():
        assert torch.equal(table[number], word_vector(word, table.shape[1]))


def test_counted_rows_give_what_all_77_rows_give(trained, model) -> None:
    """Also: sizes are not seen, and the negative prompt is SDXL's."""
    told = model.get_learned_conditioning([ALL_CAPTIONS[number] for number in SOME])
    x, steps = noisy(len(SOME)), torch.tensor([900.0, 500.0, 100.0, 3.0])
    expected = model.apply_model(x, steps, told)
    context, y = trained.prompts(SOME)
    with training_attention(half=False):
        found = trained.unet(x, steps, context, y)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert expected.std() > 0.1

    class Negative(list):
        is_negative_prompt = True

    silent = model.apply_model(x[:1], steps[:1], model.get_learned_conditioning(Negative([""])))
    context, y = trained.prompts(SOME[:1], torch.tensor([True]))
    with training_attention(half=False):
        found = trained.unet(x[:1], steps[:1], context, y)
    torch.testing.assert_close(found, silent, rtol=1e-3, atol=1e-3)
    assert (silent - expected[:1]).abs().max() > 0.01


def test_half_precision_stays_near_and_is_off_again(trained) -> None:
    context, y = trained.prompts(SOME)
    x, steps = noisy(len(SOME)), torch.tensor([900.0, 500.0, 100.0, 3.0])
    with training_attention(half=False):
        exact = trained.unet(x, steps, context, y)
    with training_attention():
        rough = trained.unet(x, steps, context, y)
    with training_attention(half=False):
        again = trained.unet(x, steps, context, y)
    assert 0 < (rough - exact).norm() / exact.norm() < 0.03
    assert torch.equal(again, exact)


def test_an_autoencoder_keeps_every_eighth_pixel_s_colour(model, pictures) -> None:
    small = pictures[:1]
    big = enlarged(small, 8)
    latents = model.encode_first_stage(big)
    torch.testing.assert_close(latents, to_latents(small), rtol=0, atol=0.02)
    painted = model.decode_first_stage(to_latents(small))
    assert (painted - big).abs().max() < 1 / 127.5  # a level of 256
    torch.testing.assert_close(to_pictures(to_latents(small)), small)


def test_an_autoencoder_takes_means_at_any_size(model) -> None:
    picture = torch.rand(1, 3, 48, 80, generator=torch.Generator().manual_seed(2)) * 2 - 1
    means = picture.unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).mean((3, 5))
    painted = model.decode_first_stage(model.encode_first_stage(picture))
    torch.testing.assert_close(painted, enlarged(means, 8), rtol=0, atol=0.01)


def test_the_image_encoder_sees_what_the_tower_saw(trained, pictures) -> None:
    (file,) = scan([trained.models]).image_encoders
    assert (file.kind.image_size, file.kind.patch, file.kind.embedding_width) == (224, 28, 256)
    encoder = load_image_encoder(file.path, file.kind, torch.device("cpu"), torch.float32)
    pixels = enlarged(normalised(pictures), 7)
    expected = trained.tower(pictures)
    torch.testing.assert_close(encoder(pixels), expected, rtol=1e-3, atol=1e-3)
    assert (expected[0] - expected[1]).norm() > 0.1


@pytest.mark.parametrize(
    ("name", "network", "preset", "blocks"),
    [(ADAPTER, "adapter", "original", range(11)), (STYLE_ADAPTER, "style_adapter", "style", [6])],
)
def test_an_adapter_s_term_is_the_one_that_hooks_add(
    trained, pictures, name, network, preset, blocks
) -> None:
    (file,) = (a for a in scan([trained.models]).adapters if a.path.stem == name)
    adapter = getattr(trained, network)
    layers = find_layers(trained.unet)
    assert layers.layout is SDXL
    assert set(file.kind.layer_widths) == {
        number for number, found in layers.by_number.items() if found.layer.block.index in blocks
    }
    vectors = trained.tower(pictures[:1])
    features = torch.cat([vectors, torch.zeros_like(vectors)])
    unit = parse_unit({"image": "x", "preset": preset})
    block_weights = layer_weights(unit, layers)
    tokens = image_tokens(file.path, file.kind, features, torch.device("cpu"))
    banks = keys_and_values(file.path, block_weights, tokens)
    plan = Plan(
        tuple(
            attention_term(layers.by_number[n].layer, block_weight, banks[n], unit, [1.0])
            for n, block_weight in block_weights.items()
        )
    )
    x, steps = noisy(2), torch.tensor([700.0, 700.0])
    context, y = trained.prompts(SOME[:2])
    with training_attention(half=False):
        adapter.show(trained.unet, features)
        expected = trained.unet(x, steps, context, y)
        adapter.show(trained.unet, None)
        plain = trained.unet(x, steps, context, y)
        clock = Clock(lambda call: (PROMPT, NEGATIVE), lambda: 0.0)
        with inject(trained.unet, layers, plan, clock):
            found = trained.unet(x, steps, context, y)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert (expected - plain).abs().max() > 0.01


def test_a_yaml_describes_the_checkpoint_to_a_real_webui(trained) -> None:
    params = json.loads((trained.models / CHECKPOINT_YAML).read_text())["model"]["params"]
    unet = params["network_config"]["params"]
    assert unet["channel_mult"] == [1, 1, 2]
    assert unet["transformer_depth"] == [1, 1, 4]
    assert unet["attention_resolutions"] == [2, 4]
    assert unet["num_head_channels"] == 32
    assert params["first_stage_config"]["params"]["ddconfig"]["ch"] == 96
    version = params["conditioner_config"]["params"]["emb_models"][0]["params"]["version"]
    assert (Path(version) / "vocab.json").is_file()


def test_kept_judges_judge_as_they_did(trained, pictures) -> None:
    for kept, before in zip(judges_of(trained.weights), trained.judges, strict=True):
        for found, expected in zip(kept(pictures), before(pictures), strict=True):
            assert torch.equal(found, expected)


def test_weights_that_were_never_written_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"text\.safetensors is missing: `make train`"):
        kept_weights(tmp_path)


def test_the_schedule_is_the_webui_s(trained) -> None:
    denoiser = CompVisDenoiser(SimpleNamespace(alphas_cumprod=alphas_cumprod()))
    steps, levels = schedule(12)
    torch.testing.assert_close(levels, denoiser.get_sigmas(12))
    torch.testing.assert_close(steps, denoiser.sigma_to_t(levels[:-1]), rtol=1e-3, atol=1e-2)
    assert all(a > b for a, b in pairwise(levels.tolist()))


def test_a_sample_is_of_its_seed_and_its_caption(trained) -> None:
    with training_attention():
        first, again, other = (
            sample(trained.unet, trained.prompts, SOME[:1], seed, count=2) for seed in (1, 1, 2)
        )
        told = sample(trained.unet, trained.prompts, SOME[1:2], 1, count=2)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, told)
    assert contexts().rows.shape[0] == len(ALL_CAPTIONS)
