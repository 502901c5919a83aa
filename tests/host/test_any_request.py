"""Any request to our routes, as their OpenAPI description lets one be made or broken.

schemathesis makes requests that fit the description and such that do not; some get a sound picture
on top, so that they come further than the first refusal. Few and always the same in `make test`,
FUZZ_EXAMPLES for each route that takes a body in `make fuzz`.
"""

from __future__ import annotations

import io
import os
import shutil

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
)

from tests.miniature.harness import to_base64

GETS = ("version", "adapters", "presets", "blocks", "styles")
POSTS = ("plan", "embed", "content")
SECONDS = 5  # longer is a hang
SOUND = to_base64(Image.new("RGB", (9, 7), (200, 90, 30)))
EXAMPLES = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "25")),
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    deadline=None if "FUZZ_EXAMPLES" not in os.environ else 1000 * SECONDS,
    suppress_health_check=list(HealthCheck),
    database=None,
    print_blob=True,
)
CHECKS = (
    not_a_server_error,
    response_schema_conformance,
    content_type_conformance,
)


@pytest.fixture(scope="module")
def routes(session):
    """Our routes as the WebUI's OpenAPI description has them, by name."""
    from lib_instantstyle.content import suggestions
    from lib_instantstyle.content.word_vectors import nouns
    from lib_instantstyle.methods import TABLE
    from lib_instantstyle.styles.library import library

    session.use("tiny_sdxl.")
    described = schemathesis.openapi.from_asgi("/openapi.json", session.app)
    ours = described.include(path_regex="^/instantstyle/").get_all_operations()
    few = nouns()[::50]  # their vectors are computed once, which takes a while
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suggestions, "nouns", lambda: few)
        session.post("/instantstyle/content", {"image": SOUND})
        yield {found.ok().path.rsplit("/", 1)[1]: found.ok() for found in ours}
    shutil.rmtree(library(TABLE).folder, ignore_errors=True)


def check(case):
    """The answer is the one that is described, and a refusal is one sentence."""
    answer = case.call()
    case.validate_response(answer, checks=CHECKS)
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 422:
        sentence = answer.json()["detail"]
        assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 3000, sentence
    return answer


def test_every_route_is_described(routes):
    assert set(routes) == {*GETS, *POSTS, "report"}


@pytest.mark.parametrize("name", [*GETS, "report"])
def test_a_request_without_a_body(routes, name):
    assert check(routes[name].Case()).status_code == 200


@pytest.mark.parametrize("name", POSTS)
@EXAMPLES
@given(data=st.data())
def test_any_request(routes, name, data):
    mode = data.draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
    case = data.draw(routes[name].as_strategy(generation_mode=mode))
    if isinstance(case.body, dict) and data.draw(st.booleans(), label="with a picture"):
        case.body = with_picture(name, dict(case.body))
    check(case)


def with_picture(name, body):
    """`body` with what it needs to get past the first refusal; the rest of it stays."""
    if name != "plan":
        return {**body, "image": SOUND, **({"name": "fuzz"} if name == "embed" else {})}
    units = body.get("units")
    units = [unit for unit in units if isinstance(unit, dict)] if isinstance(units, list) else []
    return {**body, "units": [{**unit, "image": SOUND} for unit in units[:3] or [{}]]}


@EXAMPLES
@given(
    st.sampled_from(POSTS),
    st.sampled_from(["application/json", "text/plain", "multipart/form-data", "", "\xff"]),
    st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | st.just(b"[" * 5000),
)
def test_any_bytes(routes, session, name, kind, body):
    headers = {"Content-Type": kind.encode("latin-1")}
    answer = session.client.post(f"/instantstyle/{name}", content=io.BytesIO(body), headers=headers)
    assert answer.status_code == 422 or body in (b"{}", b""), answer.text
