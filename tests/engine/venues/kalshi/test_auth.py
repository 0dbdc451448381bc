from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from engine.errors import ConfigError
from engine.venues.kalshi import auth

AT_MS = 1_703_123_456_789
RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
ED_KEY = Ed25519PrivateKey.generate()


def pem(key: PrivateKeyTypes, password: bytes | None = None, *, pkcs1: bool = False) -> bytes:
    """A key as a venue hands it out."""
    encryption = (
        serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
    )
    form = serialization.PrivateFormat.TraditionalOpenSSL if pkcs1 else serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, encryption)


def verify_rsa(signature: bytes, text: bytes) -> None:
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    RSA_KEY.public_key().verify(signature, text, pss, hashes.SHA256())


def verify_ed25519(signature: bytes, text: bytes) -> None:
    ED_KEY.public_key().verify(signature, text)


def test_signed_is_the_time_the_method_and_the_path_without_its_query() -> None:
    text = auth.signed_text(AT_MS, "GET", "/trade-api/v2/portfolio/orders?limit=5")
    assert text == b"1703123456789GET/trade-api/v2/portfolio/orders"


@pytest.mark.parametrize(("key", "verify"), [(RSA_KEY, verify_rsa), (ED_KEY, verify_ed25519)])
def test_the_venue_can_verify_the_handshake_with_the_public_key(
    key: auth.PrivateKey, verify: Callable[[bytes, bytes], None]
) -> None:
    sent = auth.headers("a-key-id", key, AT_MS)
    assert sent["KALSHI-ACCESS-KEY"] == "a-key-id"
    assert sent["KALSHI-ACCESS-TIMESTAMP"] == "1703123456789"
    signature = base64.b64decode(sent["KALSHI-ACCESS-SIGNATURE"], validate=True)
    verify(signature, b"1703123456789GET/trade-api/ws/v2")
    with pytest.raises(InvalidSignature):
        verify(signature, b"1703123456790GET/trade-api/ws/v2")


def test_the_salt_is_as_long_as_the_digest_and_new_each_time() -> None:
    first, second = (base64.b64decode(auth.sign(RSA_KEY, b"text")) for _ in range(2))
    assert first != second
    shorter = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=20)
    with pytest.raises(InvalidSignature):
        RSA_KEY.public_key().verify(first, b"text", shorter, hashes.SHA256())


@pytest.mark.parametrize("pkcs1", [False, True])
def test_both_pem_forms_of_an_rsa_key_are_read(pkcs1: bool) -> None:
    read = auth.private_key(pem(RSA_KEY, pkcs1=pkcs1), "key.pem")
    verify_rsa(base64.b64decode(auth.sign(read, b"text")), b"text")


def test_an_ed25519_key_is_read() -> None:
    assert auth.sign(auth.private_key(pem(ED_KEY), "key.pem"), b"x") == auth.sign(ED_KEY, b"x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "not an unencrypted private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not an unencrypted private key"),
        (pem(ED_KEY, b"secret"), "not an unencrypted private key"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "neither an RSA nor an Ed25519 key"),
        (pem(rsa.generate_private_key(public_exponent=65_537, key_size=1_024)), "1024 bits"),
    ],
)
def test_what_is_no_usable_key_is_refused_in_one_line_that_quotes_nothing(text: bytes, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        auth.private_key(text, "key.pem")
    assert str(caught.value).startswith("key.pem: ")
    assert "AAAA" not in str(caught.value)
