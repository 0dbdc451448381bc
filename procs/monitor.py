"""The Prometheus endpoint of an engine: ``/metrics`` on 127.0.0.1, read from shared memory at each scrape."""

from __future__ import annotations

import socketserver
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from engine.errors import ConfigError
from procs.monitor_metrics import EngineCollector

HOST: Final = "127.0.0.1"
PATH: Final = "/metrics"
CLIENT_TIMEOUT_S: Final = 5.0  # of a client that asks for nothing or reads nothing


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    timeout = CLIENT_TIMEOUT_S
    server: _Server

    def do_GET(self) -> None:
        """Answer a scrape; anything else is not here."""
        if self.path.partition("?")[0] != PATH:
            self.send_error(HTTPStatus.NOT_FOUND, f"the metrics are at {PATH}")
            return
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        body = encode(self.server.registry)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's signature
        """Scrapes are no news."""


class _Server(socketserver.TCPServer):
    """One scrape at a time: whoever comes meanwhile waits in the kernel's queue."""

    allow_reuse_address = True

    def __init__(self, port: int, registry: CollectorRegistry) -> None:
        self.registry = registry
        super().__init__((HOST, port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves in the middle of its answer is no error of ours; ``poll`` goes on."""


class Monitor:
    """Serves the metrics of one run directory. ``port`` is the one it listens on."""

    def __init__(self, directory: Path, state_dir: Path, port: int) -> None:
        """Listen; ConfigError when the port is taken or may not be used."""
        registry = CollectorRegistry()
        registry.register(EngineCollector(directory, state_dir))
        try:
            self._server = _Server(port, registry)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"monitor: {HOST}:{port}: {getattr(error, 'strerror', error)}") from error
        self.port = int(self._server.server_address[1])

    def poll(self, timeout_s: float) -> None:
        """Answer one scrape, or return after ``timeout_s`` when none came."""
        self._server.timeout = timeout_s
        self._server.handle_request()

    def close(self) -> None:
        """Stop listening."""
        self._server.server_close()
