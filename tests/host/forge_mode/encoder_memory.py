"""The image encoder in the account that Forge and Forge Classic keep of what is on the device."""

from __future__ import annotations

import gc
import weakref

import pytest

from tests.host.generations import UNIT, picture, style

OTHER = {"image": picture("deep_field.jpg")}
COUNTED = "CountedEncoder"


@pytest.fixture
def account(webui, monkeypatch):
    """The WebUI's account of memory, empty, and no reference known."""
    from lib_instantstyle.hosts.forge_memory import _memory_management
    from lib_instantstyle.references import vectors

    monkeypatch.setattr(vectors.cache(), "tensors", type(vectors.cache().tensors)())
    webui.set(instantstyle_embedding_cache_mb=0)
    account = _memory_management().account
    account.current_loaded_models.clear()
    account.log.clear()
    yield account
    vectors.cache().release_encoder()
    account.current_loaded_models.clear()


@pytest.fixture
def built(monkeypatch):
    """Weak references to the encoders that are read from their file."""
    from lib_instantstyle.references import vectors

    built = []
    real = vectors.load_image_encoder

    def load(*arguments):
        encoder = real(*arguments)
        built.append(weakref.ref(encoder))
        return encoder

    monkeypatch.setattr(vectors, "load_image_encoder", load)
    return built


def counted(account):
    return [type(x.model.model).__name__ for x in account.current_loaded_models].count(COUNTED)


def it_is_counted_while_it_runs_and_free_as_soon_as_it_is_let_go(webui, account, built):
    from lib_instantstyle.clip.image_encoder import ImageEncoder

    seen = []
    forward = ImageEncoder.forward

    def watch(self, pixels):
        seen.append(counted(account))
        return forward(self, pixels)

    gc.disable()  # nobody may have to look for it
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ImageEncoder, "forward", watch)
            webui.txt2img(**style(UNIT))
        assert seen == [1] and counted(account) == 0
        assert built[0]() is None
    finally:
        gc.enable()


def one_that_stays_can_be_moved_off_and_comes_back_without_its_file(webui, account, built):
    webui.set(instantstyle_keep_encoder=True)
    styled = webui.txt2img(**style(UNIT))
    assert counted(account) == 1
    account.unload_all_models()
    assert ("unload", COUNTED) in account.log and counted(account) == 0
    account.log.clear()
    other = webui.txt2img(**style(OTHER))
    assert ("load", COUNTED) in account.log and counted(account) == 1
    assert len(built) == 1 and other.pixels != styled.pixels
    webui.set(instantstyle_keep_encoder=False)
    webui.txt2img(**style(UNIT))
    assert counted(account) == 0 and built[0]() is None
