"""Opens addresses of HTTP and HTTPS, also after a redirect, and of nothing else."""

from __future__ import annotations

from urllib import request


def opener(*connecting: request.BaseHandler) -> request.OpenerDirector:
    """`connecting` are the handlers that open connections; the standard ones if none is given."""
    director = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(),
        *(connecting or (request.HTTPHandler(), request.HTTPSHandler())),
        request.HTTPRedirectHandler(),
        request.HTTPDefaultErrorHandler(),
        request.HTTPErrorProcessor(),
        request.UnknownHandler(),
    ):
        director.add_handler(handler)
    return director
