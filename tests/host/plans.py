"""Plans beside the generations that they foretell."""

from __future__ import annotations


def agreed(webui, request, but="nothing"):
    """The problems of the plan for `request`, the first of which the generation is refused with."""
    given = webui.post("/instantstyle/plan", request).json()["problems"]
    problems = [problem for problem in given if but not in problem]
    if "init_images" in request:
        answer = webui.img2img(None, expect=None, **request)
    else:
        answer = webui.txt2img(expect=None, **request)
    assert answer.status == (422 if problems else 200), (problems, answer.body)
    if problems:
        assert answer.body["detail"] == problems[0]
    return problems
