"""How an exception becomes an answer."""

from __future__ import annotations

import time

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import HTTPException
from fastapi.responses import JSONResponse
from modules import errors, shared


def _unwrapped(e: Exception) -> Exception:
    """anyio 4 wraps what an endpoint raised in a group; under A1111's anyio 3 it comes bare."""
    while len(getattr(e, "exceptions", ())) == 1:
        e = e.exceptions[0]
    return e


def handle_exception(request: Request, e: Exception) -> JSONResponse:
    """The exception's own status, else 500; four fields that clients read."""
    e = _unwrapped(e)
    err = {
        "error": type(e).__name__,
        "detail": vars(e).get("detail", ""),
        "body": vars(e).get("body", ""),
        "errors": str(e),
    }
    if not isinstance(e, HTTPException):
        errors.report(f"API error: {request.method}: {request.url} {err}", exc_info=True)
    status = vars(e).get("status_code", 500)
    return JSONResponse(status_code=status, content=jsonable_encoder(err))


def api_middleware(app: FastAPI) -> None:
    @app.middleware("http")
    async def log_and_time(req: Request, call_next):
        started = time.time()
        res = await call_next(req)
        seconds = str(round(time.time() - started, 4))
        res.headers["X-Process-Time"] = seconds
        if shared.cmd_opts.api_log and req.url.path.startswith("/sdapi"):
            print(f"API {res.status_code} {req.method} {req.url.path} {seconds}")
        return res

    @app.middleware("http")
    async def exception_handling(request: Request, call_next):
        try:
            return await call_next(request)
        except Exception as e:
            return handle_exception(request, e)

    @app.exception_handler(Exception)
    async def fastapi_exception_handler(request: Request, e: Exception):
        return handle_exception(request, e)

    @app.exception_handler(HTTPException)
    async def http_exception_handler(request: Request, e: HTTPException):
        return handle_exception(request, e)
