"""The explorer's server: this machine alone unless asked, and nothing of this machine but the page."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bandprobe.encoders.extras import import_extra
from bandprobe.errors import InputError
from bandprobe.explorer.page import CSS, TITLE, page
from bandprobe.explorer.session import Explorer

LOCAL = "127.0.0.1"
PORTS = range(7860, 7960)

# Whatever a page or a library of it may ask for: nothing is fetched from elsewhere, nothing is sent there.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)
_SETTINGS = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_SSR_MODE": "False",
}


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for what is uploaded, which is gone afterwards; the process stands in it meanwhile."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="bandprobe-explorer-") as name:
        os.environ.update(_SETTINGS, GRADIO_TEMP_DIR=name)
        # Gradio may hand out what lies below the current folder.
        os.chdir(name)
        try:
            yield Path(name)
        finally:
            os.chdir(before)


def free_port(host: str, asked: int | None) -> int:
    """A port that nobody listens on.

    Raises:
        InputError: the one that is asked for is taken, or all of 7860 to 7959 are.
    """
    for port in [asked] if asked is not None else PORTS:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((host, port))
            except OSError as error:
                reason = error.strerror or str(error)
                continue
            return port
    ports = str(asked) if asked is not None else f"{PORTS[0]} to {PORTS[-1]}"
    raise InputError(f"cannot listen on {host} port {ports}: {reason}; give another with --port.")


def serve(
    explorer: Explorer,
    samples: dict[str, Any],
    *,
    host: str = LOCAL,
    port: int | None = None,
    max_megabytes: int = 20,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve the page until interrupted.

    Args:
        explorer: the probes.
        samples: pictures to try, by name.
        host: the address to listen on.
        port: by default the first free one from 7860.
        max_megabytes: of an upload.
        ready: told the page's address once it is served.

    Raises:
        EncoderError: Gradio is not installed.
        InputError: the port is taken.
    """
    gr = import_extra("gradio", "explorer")
    import fastapi
    import uvicorn

    chosen = free_port(host, port)
    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def guarded(request: Any, proceed: Any) -> Any:
        answer = await proceed(request)
        answer.headers["Content-Security-Policy"] = _POLICY
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "no-referrer"
        return answer

    plain = ("system-ui", "sans-serif")
    gr.mount_gradio_app(
        app,
        page(explorer, samples),
        path="/",
        server_name=host,
        server_port=chosen,
        footer_links=[],
        allowed_paths=[],
        show_error=True,
        max_file_size=max_megabytes * 2**20,
        ssr_mode=False,
        enable_monitoring=False,
        theme=gr.themes.Base(primary_hue="blue", font=plain, font_mono=("ui-monospace", "monospace")),
        head=f"<title>{TITLE}</title><style>{CSS}</style>",
    )
    server = uvicorn.Server(uvicorn.Config(app, host=host, port=chosen, log_level="error", lifespan="on"))
    # Not in the main thread, whose signals are this program's own.
    running = threading.Thread(target=server.run, daemon=True)
    running.start()
    try:
        while not server.started and running.is_alive():
            running.join(0.05)
        if server.started:
            ready(f"http://{f'[{host}]' if ':' in host else host}:{chosen}/")
        while running.is_alive():
            running.join(0.2)
    finally:
        server.should_exit = True
