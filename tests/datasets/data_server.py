"""A server of files on this machine that supports ranges, and misbehaves when told to."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class DataServer:
    """Files by their path, and how they are handed out.

    Attributes:
        files: path to content.
        drops: path to the bytes after which the connection is cut, one entry for each time.
        ranges: whether `Range` is understood.
        validators: whether files have an ETag.
        slow: paths that are answered after as many seconds.
        slow_rest: paths of which what is left of a broken download is.
        statuses: path to the answers other than 200 that come first.
        asked: what was asked for: path, range, condition.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    drops: dict[str, list[int]] = field(default_factory=dict)
    ranges: bool = True
    validators: bool = True
    slow: dict[str, float] = field(default_factory=dict)
    slow_rest: dict[str, float] = field(default_factory=dict)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def put(self, path: str, content: bytes) -> str:
        self.files[path] = content
        return f"{self.url}{path}"

    def zenodo(self, record: int, files: dict[str, bytes], licence: str = "cc-by-4.0") -> None:
        """A record as Zenodo's API describes it."""
        listed = []
        for name, content in files.items():
            url = self.put(f"/api/records/{record}/files/{name}/content", content)
            digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
            listed.append(
                {"key": name, "size": len(content), "checksum": f"md5:{digest}", "links": {"self": url}}
            )
        about = {"files": listed, "metadata": {"license": {"id": licence}}}
        self.put(f"/api/records/{record}", json.dumps(about).encode())

    def hub(self, name: str, files: dict[str, bytes], licence: str = "mit") -> None:
        """A data set as Hugging Face's API describes it."""
        listed: list[dict[str, object]] = [{"type": "directory", "path": "data", "oid": "0", "size": 0}]
        for path, content in files.items():
            self.put(f"/datasets/{name}/resolve/main/{path}", content)
            lfs = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
            listed.append({"type": "file", "path": path, "oid": "0", "size": len(content), "lfs": lfs})
        self.put(f"/api/datasets/{name}/tree/main", json.dumps(listed).encode())
        self.put(f"/api/datasets/{name}", json.dumps({"id": name, "cardData": {"license": licence}}).encode())


@contextmanager
def serving() -> Iterator[DataServer]:
    data = DataServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            wanted = self.headers.get("Range", "")
            condition = self.headers.get("If-Range", "")
            wait = (data.slow_rest if wanted else data.slow).get(path, 0)
            data.asked.append((path, wanted, condition))
            time.sleep(wait)
            if data.statuses.get(path):
                self.send_error(data.statuses[path].pop(0))
                return
            if path not in data.files:
                self.send_error(404)
                return
            content = data.files[path]
            etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            start = 0
            found = re.fullmatch(r"bytes=(\d+)-", wanted)
            if found and data.ranges and (not condition or condition == etag):
                start = int(found[1])
                if start >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            if data.validators:
                self.send_header("ETag", etag)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            after = data.drops[path].pop(0) if data.drops.get(path) else None
            self.wfile.write(content[start:] if after is None else content[start : start + after])
            if after is not None:
                self.close_connection = True

        def log_message(self, *words: object) -> None:
            """Nothing of it on the tests' output."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *words: object) -> None:
            """Whoever asked has left: said to nobody."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    data.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield data
    finally:
        server.shutdown()
        server.server_close()
