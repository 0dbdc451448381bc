"""Kalshi's handshake check: three headers, a signature over the time, the method and the path.

Signed text: the time in milliseconds, ``GET``, the path without host and query. RSA keys sign by PSS with
SHA-256 and a salt of the digest's length, Ed25519 keys plainly. A stale time is refused before the signature
is looked at.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from engine.errors import ConfigError

PublicKey = RSAPublicKey | Ed25519PublicKey

ANY_ID: Final = ""  # a key that is configured without an id answers for every id
STALE_MS: Final = 10_000
AHEAD_MS: Final = 30_000
KEY_HEADER: Final = "KALSHI-ACCESS-KEY"
SIGNATURE_HEADER: Final = "KALSHI-ACCESS-SIGNATURE"
TIMESTAMP_HEADER: Final = "KALSHI-ACCESS-TIMESTAMP"


def read_public_key(path: Path) -> PublicKey:
    """The public key in a PEM file. OSError; ConfigError when it is none that Kalshi takes."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: not a public key in PEM") from error
    if not isinstance(key, RSAPublicKey | Ed25519PublicKey):
        raise ConfigError(f"{path}: neither an RSA nor an Ed25519 key")
    return key


def refusal(
    headers: Mapping[str, str], path: str, keys: Mapping[str, PublicKey], now_ms: int
) -> bytes | None:
    """Body of the 401 that answers a handshake; None when it is signed by one of ``keys`` (id: key)."""
    if not all(name in headers for name in (KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER)):
        return _body("signature_is_missing_from_headers")
    stamp = headers[TIMESTAMP_HEADER]
    if not (stamp.isascii() and stamp.isdigit() and -STALE_MS <= int(stamp) - now_ms <= AHEAD_MS):
        return _body("header_timestamp_expired")
    key = keys.get(headers[KEY_HEADER], keys.get(ANY_ID))
    if key is None:
        return _body("authentication_error", "NOT_FOUND")
    if not _is_signed(key, f"{stamp}GET{path}".encode(), headers[SIGNATURE_HEADER]):
        return _body("authentication_error", "INCORRECT_API_KEY_SIGNATURE")
    return None


def _is_signed(key: PublicKey, text: bytes, signature_base64: str) -> bool:
    try:
        signature = base64.b64decode(signature_base64, validate=True)
        if isinstance(key, RSAPublicKey):
            hashed = SHA256()
            key.verify(signature, text, PSS(MGF1(hashed), hashed.digest_size), hashed)
        else:
            key.verify(signature, text)
    except (binascii.Error, InvalidSignature, ValueError):
        return False
    return True


def _body(code: str, details: str = "") -> bytes:
    error = {"code": code, "message": code.replace("_", " ")}
    return orjson.dumps({"error": {**error, "details": details} if details else error})
