"""Text encoders as other WebUIs and checkpoints wrap them: which serve, and what they give."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from tests.miniature.networks import tokenizer
from tests.miniature.networks.text import OpenCLIPText, TextConfig

pytestmark = pytest.mark.usefixtures("session", "as_in_generation")
CONFIG = TextConfig(width=64, layers=3, heads=2, embed_dim=24)


class Wrapper(SimpleNamespace):
    """What every WebUI's wrapper has."""

    id_start, id_end, id_pad = 49406, 49407, 0

    def tokenize(self, texts):
        return [tokenizer.word_ids(text) for text in texts]


class StopsEarly:
    """SD2's use of OpenCLIP: as many blocks as `layer_idx` leaves, the final norm, no pooling."""

    def __init__(self, model):
        self.model, self.layer_idx = model, 1

    def encode_with_transformer(self, tokens):
        model = self.model
        x = model.token_embedding(tokens) + model.positional_embedding
        blocks = model.transformer.resblocks
        for block in blocks[: len(blocks) - self.layer_idx]:
            x = block(x, model.attn_mask)
        return model.ln_final(x)


def network():
    torch.manual_seed(1)
    return OpenCLIPText(CONFIG).eval().requires_grad_(False)


def encoder(embedder):
    from lib_instantstyle.hosts.text import LoadedTextEncoder

    return LoadedTextEncoder(embedder, "some", lambda: None)


def serves(embedder):
    from lib_instantstyle.hosts.text import serves

    return serves(embedder)


def test_sd2s_encoder_is_run_to_its_end_and_projected():
    model = network()
    embedder = Wrapper(wrapped=StopsEarly(model))
    assert serves(embedder) and encoder(embedder).width == 24
    texts = ["a cup", "a cup of coffee on a table"]
    tokens = torch.tensor([tokenizer.chunks(text, pad=0)[0] for text in texts])
    _, expected = model(tokens)
    vectors = encoder(embedder).vectors(texts)
    torch.testing.assert_close(vectors, expected, atol=1e-5, rtol=1e-5)
    assert embedder.wrapped.layer_idx == 1  # SD2 itself stops as early as before


@pytest.mark.parametrize("missing", ["text_projection", "last block"])
def test_sd2_without_the_weights_it_does_not_use_itself_does_not_serve(missing):
    model = network()
    last = model.transformer.resblocks[-1].attn.out_proj.weight
    (model.text_projection if missing == "text_projection" else last).zero_()
    assert not serves(Wrapper(wrapped=StopsEarly(model)))


def engine(projection):
    """Forge's: it wraps nothing, and its encoder is a Hugging Face one."""
    transformer = SimpleNamespace(text_projection=projection) if projection else SimpleNamespace()
    return Wrapper(return_pooled=True, text_encoder=SimpleNamespace(transformer=transformer))


def test_forges_engine_serves_where_it_projects():
    with_projection = engine(nn.Linear(64, 24, bias=False))
    assert serves(with_projection) and encoder(with_projection).width == 24
    assert not serves(engine(None))  # Flux pools CLIP-L without projecting
    assert not serves(Wrapper(text_encoder=with_projection.text_encoder, return_pooled=False))
    assert not serves(None)


def test_many_texts_are_read_in_batches_and_told():
    embedder = Wrapper(wrapped=StopsEarly(network()))
    texts, told = [f"word {i}" for i in range(70)], []
    together = encoder(embedder).vectors(texts, told.append)
    assert told == [32, 64, 70] and together.shape == (70, 24)
    torch.testing.assert_close(
        together[69:], encoder(embedder).vectors(texts[69:]), atol=1e-5, rtol=1e-5
    )


def test_forges_encoder_gets_the_words_without_what_stands_behind_them():
    """Hugging Face's encoders take rows of any length."""
    forge, lengths = engine(nn.Linear(64, 24, bias=False)), []
    forge.text_encoder.transformer.text_model = nn.Module()

    def encode(tokens):
        lengths.append(tokens.shape[1])
        return SimpleNamespace(pooled=torch.zeros(len(tokens), 24))

    forge.encode_with_transformers = encode
    encoder(forge).vectors([f"word {i}" for i in range(40)])
    encoder(forge).vectors(["a cup"])
    assert lengths == [4, 4, 77]


def test_only_clips_own_tokens_are_taken():
    from lib_instantstyle.hosts.text import is_clip_tokenizer

    assert is_clip_tokenizer(Wrapper())
    other = Wrapper()
    other.id_start, other.id_end = 0, 2  # a tokenizer of another kind
    assert not is_clip_tokenizer(other) and not is_clip_tokenizer(None)


def test_a_checkpoint_is_known_by_its_file_and_by_forges_modules(tmp_path, session, monkeypatch):
    from lib_instantstyle.hosts.checkpoint import FORGE_MODULES, identity

    files = [tmp_path / name for name in ("a.safetensors", "b.safetensors", "te.safetensors")]
    for file in files:
        file.write_bytes(b"1")
    models = [
        SimpleNamespace(sd_checkpoint_info=SimpleNamespace(filename=str(file)))
        for file in files[:2]
    ]
    first, second = map(identity, models)
    assert first == identity(models[0]) != second
    monkeypatch.setitem(session.shared.opts.data, FORGE_MODULES, [str(files[2])])
    with_module = identity(models[0])
    assert with_module != first
    files[2].write_bytes(b"12")
    assert identity(models[0]) not in (first, with_module)
    nameless = SimpleNamespace()
    assert identity(nameless) != identity(nameless)
