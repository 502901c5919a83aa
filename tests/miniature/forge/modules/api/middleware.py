"""How an exception becomes an answer: Forge leaves it to FastAPI, but for what is no HTTP error."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from modules import errors


def handle_exception(request: Request, e: Exception) -> JSONResponse:
    errors.report(f"API error: {request.method}: {request.url} {e}", exc_info=True)
    content = {
        "error": type(e).__name__,
        "detail": vars(e).get("detail", ""),
        "body": vars(e).get("body", ""),
        "message": str(e),
    }
    status = int(vars(e).get("status_code", 500))
    return JSONResponse(status_code=status, content=jsonable_encoder(content))


def api_middleware(app: FastAPI) -> None:
    app.add_exception_handler(Exception, handle_exception)
    app.middleware_stack = None
