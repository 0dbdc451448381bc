"""Before the first message: signatures and certificates; and the same faults beneath TLS as without it."""

from __future__ import annotations

import base64
import ipaddress
import ssl
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from engine.errors import ConfigError
from engine.records import Venue
from tests.engine.venues.kalshi.test_auth import pem
from tests.procs.live_feeds import (
    MS,
    books_equal,
    config_for,
    equal,
    live,
    make_feed,
    polymarket_books,
    scripted,
)
from tests.procs.scripted_venue import ScriptedPolymarket, ScriptedVenue, frame_header, run, until

VENUE = Venue.POLYMARKET


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and self-signed certificate of 127.0.0.1 in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a scripted venue")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "venue.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def encrypted(certificate: Path) -> ScriptedPolymarket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return ScriptedPolymarket(polymarket_books(), context)


def test_it_follows_the_books_comes_back_and_refuses_what_is_too_long(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def main() -> None:
        async with encrypted(certificate) as server, live(VENUE, server, message_max_ns=200 * MS) as feed:
            assert server.url.startswith("wss://")
            server.change("101", "BUY", "0.41", 5.0)
            await until(lambda: books_equal(feed, server))
            server.peer.reset()
            await until(lambda: feed.shell.counters.reconnects == 1)
            await until(lambda: books_equal(feed, server))
            server.peer.raw(frame_header(100 << 20) + bytes(4 << 20))
            await until(lambda: feed.shell.counters.oversized == 1)
            await until(lambda: books_equal(feed, server))
            server.peer.raw(frame_header(60_000) + b"{")
            await until(lambda: feed.shell.counters.slow == 1)
            await until(lambda: books_equal(feed, server))
            assert feed.shell.counters.connects == 4

    run(main())


def test_a_venue_whose_certificate_nobody_vouches_for_is_not_spoken_to(certificate: Path) -> None:
    async def main() -> None:
        async with encrypted(certificate) as server:
            feed = make_feed(VENUE, config_for(VENUE, server.url), tuple(server.books), certificate.parent)
            feed.shell.start()
            await until(lambda: feed.shell.counters.refused >= 2)
            assert "CERTIFICATE_VERIFY_FAILED" in feed.shell.links[0].last_error
            assert not server.peers
            await feed.shell.stop()

    run(main())


def test_the_handshake_is_signed_with_the_key_of_the_folder(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    tmp_path.chmod(0o700)
    for name, content in (("kalshi_key_id", b"an-id"), ("kalshi_private_key.pem", pem(key))):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)

    async def main() -> None:
        venue = Venue.KALSHI
        async with scripted(venue) as server:
            feed = make_feed(venue, config_for(venue, server.url), tuple(server.books), tmp_path)
            feed.shell.start()
            for number in (1, 2):
                await until(partial(is_connected, server, number))
                await equal(feed, server)
                sent = server.peer.headers
                text = f"{sent['KALSHI-ACCESS-TIMESTAMP']}GET/trade-api/ws/v2".encode()
                key.public_key().verify(base64.b64decode(sent["KALSHI-ACCESS-SIGNATURE"]), text)
                assert sent["KALSHI-ACCESS-KEY"] == "an-id"
                assert abs(int(sent["KALSHI-ACCESS-TIMESTAMP"]) - time.time_ns() // MS) < 60_000
                server.peer.close(1000)
            first, second = (peer.headers["KALSHI-ACCESS-SIGNATURE"] for peer in server.peers[:2])
            assert first != second  # each handshake is signed anew
            await feed.shell.stop()

    run(main())


def is_connected(server: ScriptedVenue, times: int) -> bool:
    return len(server.peers) == times


def test_over_an_encrypted_way_a_missing_key_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(ConfigError, match="kalshi_key_id: No such file"):
        make_feed(Venue.KALSHI, config_for(Venue.KALSHI, "wss://127.0.0.1:1/x"), ("KXA",), tmp_path)
