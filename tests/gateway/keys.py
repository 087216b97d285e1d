"""Key pairs of a token issuer, made for this run, and the key set that it would publish."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

RSA = rsa.generate_private_key(65537, 2048)
RSA_NEXT = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


def public_jwk(key: Private, **more: Any) -> dict[str, Any]:
    """The public half as a JWK."""
    if isinstance(key, rsa.RSAPrivateKey):
        return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), **more}
    return {**ECAlgorithm(ECAlgorithm.SHA256).to_jwk(key.public_key(), as_dict=True), **more}


def public_pem(key: Private) -> bytes:
    """The public half as PEM: what an attacker knows."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def key_set(*keys: dict[str, Any]) -> bytes:
    """A JWKS document."""
    return json.dumps({"keys": list(keys)}).encode()


def jwks_file(folder: Path) -> Path:
    """A file with both keys."""
    path = folder / "jwks.json"
    path.write_bytes(key_set(public_jwk(RSA, kid="rsa", use="sig"), public_jwk(EC, kid="ec", alg="ES256")))
    return path
