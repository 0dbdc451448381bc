"""Kalshi's handshake check, with real keys of both kinds."""

from __future__ import annotations

import base64
from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from engine.errors import ConfigError
from procs.venue_sim.kalshi_auth import ANY_ID, read_public_key, refusal

PATH = "/trade-api/ws/v2"
NOW_MS = 1_793_534_400_000
PrivateKey = rsa.RSAPrivateKey | Ed25519PrivateKey


@pytest.fixture(scope="module", params=["rsa", "ed25519"])
def key(request: pytest.FixtureRequest) -> PrivateKey:
    if request.param == "rsa":
        return rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    return Ed25519PrivateKey.generate()


def sign(key: PrivateKey, text: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(padding.MGF1(SHA256()), SHA256.digest_size)
        return key.sign(text, pss, SHA256())
    return key.sign(text)


def headers(key: PrivateKey, at_ms: int = NOW_MS, path: str = PATH, key_id: str = "an-id") -> dict[str, str]:
    signature = base64.b64encode(sign(key, f"{at_ms}GET{path}".encode())).decode()
    return {
        "KALSHI-ACCESS-KEY": key_id,
        "KALSHI-ACCESS-SIGNATURE": signature,
        "KALSHI-ACCESS-TIMESTAMP": str(at_ms),
    }


def _refusal(key: PrivateKey, sent: dict[str, str], key_id: str = ANY_ID) -> tuple[object, object] | None:
    body = refusal(sent, PATH, {key_id: key.public_key()}, NOW_MS)
    if body is None:
        return None
    error = orjson.loads(body)["error"]
    return error["code"], error.get("details")


def test_a_signed_handshake_comes_in(key: PrivateKey) -> None:
    assert _refusal(key, headers(key)) is None
    assert _refusal(key, headers(key), "an-id") is None


@pytest.mark.parametrize("name", ["KALSHI-ACCESS-KEY", "KALSHI-ACCESS-SIGNATURE", "KALSHI-ACCESS-TIMESTAMP"])
def test_each_header_is_needed(key: PrivateKey, name: str) -> None:
    sent = headers(key)
    del sent[name]
    assert _refusal(key, sent) == ("signature_is_missing_from_headers", None)


@pytest.mark.parametrize(
    ("skew_ms", "refused"), [(-10_000, False), (-10_001, True), (30_000, False), (30_001, True)]
)
def test_the_clock_window(key: PrivateKey, skew_ms: int, refused: bool) -> None:
    found = _refusal(key, headers(key, NOW_MS + skew_ms))
    assert found == (("header_timestamp_expired", None) if refused else None)


@pytest.mark.parametrize("stamp", ["", "now", "-5", "1.5", "\u0661"])
def test_a_time_that_is_none(key: PrivateKey, stamp: str) -> None:
    sent = {**headers(key), "KALSHI-ACCESS-TIMESTAMP": stamp}
    assert _refusal(key, sent) == ("header_timestamp_expired", None)


def test_a_signature_over_anything_else_is_refused(key: PrivateKey) -> None:
    wrong = ("authentication_error", "INCORRECT_API_KEY_SIGNATURE")
    assert _refusal(key, headers(key, path=f"{PATH}?a=b")) == wrong
    assert _refusal(key, headers(key) | {"KALSHI-ACCESS-TIMESTAMP": str(NOW_MS + 1)}) == wrong
    assert _refusal(Ed25519PrivateKey.generate(), headers(key)) == wrong
    for garbage in ("", "?", "AAAA"):
        assert _refusal(key, headers(key) | {"KALSHI-ACCESS-SIGNATURE": garbage}) == wrong


def test_the_salt_of_an_rsa_signature_has_the_digests_length() -> None:
    private = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    pss = padding.PSS(padding.MGF1(SHA256()), padding.PSS.MAX_LENGTH)
    signature = private.sign(f"{NOW_MS}GET{PATH}".encode(), pss, SHA256())
    sent = headers(private) | {"KALSHI-ACCESS-SIGNATURE": base64.b64encode(signature).decode()}
    assert _refusal(private, sent) == ("authentication_error", "INCORRECT_API_KEY_SIGNATURE")


def test_an_unknown_key_is_not_found(key: PrivateKey) -> None:
    assert _refusal(key, headers(key), "another-id") == ("authentication_error", "NOT_FOUND")


def test_public_keys_are_read_and_others_refused_in_one_line(key: PrivateKey, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert read_public_key(path) == key.public_key()
    path.write_bytes(b"no key")
    with pytest.raises(ConfigError, match=r"key\.pem: not a public key in PEM"):
        read_public_key(path)
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    path.write_bytes(curve.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(ConfigError, match="neither an RSA nor an Ed25519 key"):
        read_public_key(path)
