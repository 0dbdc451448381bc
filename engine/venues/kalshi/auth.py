"""Kalshi's signature: three headers on a private request, and on the handshake of every WebSocket.

There is no login. Signed is ``timestamp + METHOD + path``: milliseconds as decimal text, the path from the
root of the API without host and query. The body is not signed. The venue knows by the key's id which
algorithm it is: RSASSA-PSS with SHA-256, MGF1 of SHA-256 and a salt as long as the digest, or Ed25519.

The key and the time are handed in; nothing here keeps either.
"""

from __future__ import annotations

import base64
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from engine.errors import ConfigError

PrivateKey = RSAPrivateKey | Ed25519PrivateKey

WS_PATH: Final = "/trade-api/ws/v2"
WS_METHOD: Final = "GET"
KEY_HEADER: Final = "KALSHI-ACCESS-KEY"
TIMESTAMP_HEADER: Final = "KALSHI-ACCESS-TIMESTAMP"
SIGNATURE_HEADER: Final = "KALSHI-ACCESS-SIGNATURE"
RSA_BITS_MIN: Final = 2_048


def private_key(pem: bytes, name: str) -> PrivateKey:
    """Key of an unencrypted PEM text (PKCS#1 or PKCS#8); ``name`` is what a message calls it.

    ConfigError when it is no key, encrypted, of another kind, or an RSA key of fewer than RSA_BITS_MIN bits.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigError(f"{name}: not an unencrypted private key in PEM") from None  # quotes no key
    if isinstance(key, Ed25519PrivateKey):
        return key
    if not isinstance(key, RSAPrivateKey):
        raise ConfigError(f"{name}: neither an RSA nor an Ed25519 key")
    if key.key_size < RSA_BITS_MIN:
        raise ConfigError(f"{name}: an RSA key of {key.key_size} bits, at least {RSA_BITS_MIN}")
    return key


def signed_text(timestamp_ms: int, method: str, path: str) -> bytes:
    """What is signed; ``path`` as it is sent, a query string is left out."""
    return f"{timestamp_ms}{method}{path.partition('?')[0]}".encode()


def sign(key: PrivateKey, text: bytes) -> str:
    """Signature in standard base64."""
    if isinstance(key, Ed25519PrivateKey):
        return base64.b64encode(key.sign(text)).decode()
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
    return base64.b64encode(key.sign(text, pss, hashes.SHA256())).decode()


def headers(
    key_id: str, key: PrivateKey, timestamp_ms: int, method: str = WS_METHOD, path: str = WS_PATH
) -> dict[str, str]:
    """The three headers of one request; by default of a WebSocket's handshake."""
    return {
        KEY_HEADER: key_id,
        TIMESTAMP_HEADER: str(timestamp_ms),
        SIGNATURE_HEADER: sign(key, signed_text(timestamp_ms, method, path)),
    }
