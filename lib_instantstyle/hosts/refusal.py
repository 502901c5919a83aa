"""The error that the WebUI shows for a refused generation."""

from __future__ import annotations

from fastapi import HTTPException

from lib_instantstyle.errors import printable

UNPROCESSABLE, FAILED = 422, 500


class InstantStyle(HTTPException):  # type: ignore[misc]  # fastapi has no types here
    """A refused generation: HTTP 422 in the API, "InstantStyle: sentence" on the page.

    The WebUI's page shows the class name and str() of an exception, so the class is named for
    what a user reads; a plain HTTPException would show nothing after its name.
    """

    def __init__(self, sentence: str, status: int = UNPROCESSABLE) -> None:
        super().__init__(status_code=status, detail=printable(sentence))

    def __str__(self) -> str:
        return str(self.detail)
