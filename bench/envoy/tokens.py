"""HS256 tokens (RFC 7515) for the benchmark: many, cheap to mint, of one size, each different by its jti."""

import base64
import hashlib
import hmac
import itertools
import json
import time

SECRET = b"benchmark-secret-of-forty-bytes-exactly!"
WRONG_SECRET = b"another-secret-of-the-same-forty-bytes!!"
TOKEN_BYTES = 500

_serial = itertools.count(1)


def b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


_HEADER = b64url(b'{"alg":"HS256","typ":"JWT"}')


def mint(
    subject="user-1",
    permissions=("orders:read", "orders:write"),
    ttl=86_400 - 60,
    secret=SECRET,
    size=TOKEN_BYTES,
    age=30,
) -> str:
    """A token of about `size` bytes (padded by a claim that nobody reads), issued `age` seconds ago."""
    now = int(time.time())
    claims = {
        "sub": subject,
        "iat": now - age,
        "exp": now + ttl,
        "permissions": list(permissions),
        "jti": f"{next(_serial):016d}",
    }
    # header, two dots and the 43 characters of the MAC are not payload; 13 bytes are `,"padding":""`
    room = (size - len(_HEADER) - 45) * 3 // 4 - len(json.dumps(claims, separators=(",", ":"))) - 13
    if room > 0:
        claims["padding"] = "x" * room
    payload = json.dumps(claims, separators=(",", ":")).encode()
    signed = f"{_HEADER}.{b64url(payload)}"
    return f"{signed}.{b64url(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def mint_many(count: int) -> list[str]:
    """`count` valid tokens of one subject, none of them ever minted before in this process."""
    return [mint() for _ in range(count)]


def far_future() -> int:
    """A time that no benchmark reaches, in Unix seconds: what is revoked until then stays alive throughout."""
    return int(time.time()) + 86_400


def jwks() -> str:
    """The same secret as the JSON Web Key Set that Envoy's jwt_authn reads."""
    return json.dumps({"keys": [{"kty": "oct", "alg": "HS256", "k": b64url(SECRET)}]})
