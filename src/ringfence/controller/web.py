"""The web interface's files, as `make web` built them into `web/` beside this. What a page shows comes from the API.

Pages are routes of the browser's own: every path that is no file and no part of the API is answered with the one page
there is, if a browser asks for a page.
"""

from __future__ import annotations

import mimetypes
from pathlib import Path

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.types import Receive, Scope, Send

BUILT = Path(__file__).parent / "web"
NOT_PAGES = ("/v1", "/docs", "/openapi.json", "/assets")
"""What a program asks for: a path below these that is not there is not there."""
HEADERS = {
    # SAFETY: no script and no style but the files of this controller, and nothing is asked of anyone else. The terminal
    # and the layout set styles through the CSSOM, which needs no exception.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
UNBUILT = """<!doctype html><html lang="en"><title>ringfence</title>
<h1>The web interface is not built</h1>
<p>This controller runs from its source. In the checkout, run</p><pre>make web</pre>
<p>and load this page again. The API and the command line work without it; the API is described at
<a href="/docs">/docs</a>.</p>"""


def is_built() -> bool:
    """Tell whether there is a web interface to serve."""
    return (BUILT / "index.html").is_file()


async def web_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer what no route of the API takes."""
    if scope["type"] != "http":
        await send({"type": "websocket.close", "code": 1000})
        return
    if scope["method"] not in ("GET", "HEAD"):
        raise HTTPException(status_code=404)
    headers = Headers(scope=scope)
    response = await anyio.to_thread.run_sync(_answer, scope["path"], headers)
    await response(scope, receive, send)


def _answer(path: str, asked: Headers) -> Response:
    found = (BUILT / path.lstrip("/")).resolve()
    if found.is_file() and found.is_relative_to(BUILT) and found.suffix != ".gz":
        # The name of an asset holds a digest of its content.
        keep = "public, max-age=31536000, immutable" if path.startswith("/assets/") else "no-cache"
        return _file(found, asked, keep)
    wants_page = "text/html" in asked.get("accept", "") or path == "/"
    if any(path == prefix or path.startswith(f"{prefix}/") for prefix in NOT_PAGES) or not wants_page:
        raise HTTPException(status_code=404)
    if not is_built():
        return HTMLResponse(UNBUILT, status_code=503, headers=HEADERS)
    return _file(BUILT / "index.html", asked, "no-cache")


def _file(path: Path, asked: Headers, keep: str) -> Response:
    headers = {**HEADERS, "Cache-Control": keep, "Vary": "Accept-Encoding"}
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    packed = path.with_name(f"{path.name}.gz")
    if "gzip" in asked.get("accept-encoding", "") and packed.is_file():
        return FileResponse(packed, media_type=kind, headers={**headers, "Content-Encoding": "gzip"})
    return FileResponse(path, media_type=kind, headers=headers)
