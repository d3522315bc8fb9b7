"""A webhook receiver on this machine: keeps what it is sent, and answers as a test tells it to."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """`answer` is the status of the next answers; `deliveries` are (headers, body) in the order in which they came."""

    def __init__(self) -> None:
        self.answer = 204
        self.location = ""
        self.deliveries: list[tuple[dict[str, str], bytes]] = []
        self.paths: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.deliveries.append(({name.lower(): value for name, value in self.headers.items()}, body))
                outer.paths.append(self.path)
                self.send_response(outer.answer)
                if outer.location:
                    self.send_header("Location", outer.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host}:{port}/alerts?channel=ops"

    def told(self):
        """What it was told so far: (kind, pair)."""
        documents = [json.loads(body) for _, body in self.deliveries]
        return [(document["type"].removeprefix("pair."), document["data"]["pair"]) for document in documents]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
