"""With each checkpoint, and without a report of the WebUI."""

import pytest

from tests.host.miniature.cases import CHECKPOINTS


@pytest.fixture(params=CHECKPOINTS)
def checkpoint(request):
    return request.param


@pytest.fixture
def webui(webui):
    yield webui
    assert webui.reports == []
