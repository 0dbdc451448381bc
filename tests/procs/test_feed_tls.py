"""The same over TLS, as the venues serve it: certificates are checked, bounds hold beneath the encryption."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.records import Venue
from tests.procs.live_feeds import MS, books_equal, config_for, live, make_feed, polymarket_books
from tests.procs.scripted_venue import ScriptedPolymarket, frame_header, run, until

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
