"""Tokens (RFC 7515) for the benchmark: many, of one size, each different by its jti. Signed by HS256, or by RS256."""

import base64
import hashlib
import hmac
import itertools
import json
import secrets
import time
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
SECRET = b"benchmark-secret-of-forty-bytes-exactly!"
WRONG_SECRET = b"another-secret-of-the-same-forty-bytes!!"
TOKEN_BYTES = 500
# Whose tokens are signed by RS256, how large they are, and with which key of the tests.
ISSUER = "https://login.example.com/"
PUBLIC_TOKEN_BYTES = 800
KEY = json.loads((HERE.parents[1] / "tests/issuer_keys/rsa.jwk.json").read_text())
# DER of the digest's algorithm (RFC 8017 section 9.2, note 1).
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")

_serial = itertools.count(1)


def b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


_HEADER = b64url(b'{"alg":"HS256","typ":"JWT"}')
_PUBLIC_HEADER = b64url(b'{"alg":"RS256","typ":"JWT","kid":"bench"}')


def mint(
    subject="user-1",
    permissions=("orders:read", "orders:write"),
    ttl=86_400 - 60,
    secret=SECRET,
    size=TOKEN_BYTES,
    age=30,
    public=False,
) -> str:
    """A token of about `size` bytes (padded by a claim that nobody reads), issued `age` seconds ago.

    `public`: an issuer's, signed by RS256; otherwise with the secret, by HS256.
    """
    now = int(time.time())
    claims = {
        "sub": subject,
        "iat": now - age,
        "exp": now + ttl,
        "permissions": list(permissions),
        "jti": f"{next(_serial):016d}",
    }
    if public:
        claims["iss"] = ISSUER
    header, signature = (_PUBLIC_HEADER, 342) if public else (_HEADER, 43)
    # header, two dots and the signature are not payload; 13 bytes are `,"padding":""`
    room = (size - len(header) - signature - 2) * 3 // 4 - len(json.dumps(claims, separators=(",", ":"))) - 13
    if room > 0:
        claims["padding"] = "x" * room
    payload = json.dumps(claims, separators=(",", ":")).encode()
    signed = f"{header}.{b64url(payload)}"
    if public:
        return f"{signed}.{b64url(_rs256(signed.encode()))}"
    return f"{signed}.{b64url(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


@cache
def _private(name: str) -> int:
    """A number of the private key (RFC 7518 section 6.3.2)."""
    return int.from_bytes(base64.urlsafe_b64decode(KEY[name] + "=="), "big")


def _rs256(text: bytes) -> bytes:
    """RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2), by the Chinese remainder theorem: 2 ms."""
    digest = SHA256_PREFIX + hashlib.sha256(text).digest()
    padded = b"\x00\x01" + b"\xff" * (253 - len(digest)) + b"\x00" + digest
    number, p, q = int.from_bytes(padded, "big"), _private("p"), _private("q")
    modulo_p, modulo_q = pow(number, _private("dp"), p), pow(number, _private("dq"), q)
    return (modulo_q + (_private("qi") * (modulo_p - modulo_q) % p) * q).to_bytes(256, "big")


@cache
def mint_public(count: int) -> tuple[str, ...]:
    """`count` tokens signed by RS256; the same ones for every process, none of which knows them."""
    return tuple(mint(size=PUBLIC_TOKEN_BYTES, public=True) for _ in range(count))


def mint_many(count: int) -> list[str]:
    """`count` valid tokens of one subject, none of them ever minted before in this process."""
    return [mint() for _ in range(count)]


def far_future() -> int:
    """A time that no benchmark reaches, in Unix seconds: what is revoked until then stays alive throughout."""
    return int(time.time()) + 86_400


def jwks() -> str:
    """The same secret as the JSON Web Key Set that Envoy's jwt_authn reads."""
    return json.dumps({"keys": [{"kty": "oct", "alg": "HS256", "k": b64url(SECRET)}]})


def public_jwks(count=1) -> dict:
    """A set of `count` public keys, of which the last has signed the tokens."""
    others = ({"kid": f"other-{i}", "n": b64url(_modulus())} for i in range(count - 1))
    keys = [*others, {"kid": "bench", "n": KEY["n"]}]
    return {"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "e": "AQAB", **key} for key in keys]}


def _modulus() -> bytes:
    """An odd number of 2048 bits, which is all that can be seen of a modulus."""
    return (secrets.randbits(2046) << 1 | 1 << 2047 | 1).to_bytes(256, "big")
