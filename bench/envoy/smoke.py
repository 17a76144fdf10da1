"""Before anything is measured: does every chain enforce the policy? A fast filter that lets all through is none."""

import chains
import tokens
from envoy import Envoy, Failed


def check(envoy: Envoy, permissions: bool, public: bool = False):
    """200, 401 and 403 where they are due, the limit in the answer, the subject (and the permissions) upstream."""
    forged = {"secret": tokens.WRONG_SECRET, "public": False}
    cases = [
        ("a good token", {}, 200),
        ("a wrong signature", forged, 401),
        ("an expired token", {"ttl": -60, "age": 600}, 401),
        ("a token without the permission", {"permissions": ("other:read",)}, 403),
    ]
    for what, token, expected in cases:
        for method, body in (("GET", None), ("POST", "{}")):
            answer = envoy.ask(method, "/orders/17", tokens.mint(**({"public": public} | token)), body)
            _expect(envoy, f"{method} with {what}", answer, expected)
    _expect(envoy, "no token", envoy.ask("GET", "/orders/17"), 401)
    answer = envoy.ask("GET", "/echo/17", tokens.mint(subject="user-42", public=public))
    _expect(envoy, "a good token", answer, 200)
    if answer[1].get("x-seen-subject") != "user-42":
        raise Failed(f"`{envoy.name}` does not forward the subject: {answer}")
    if not any("ratelimit" in name for name in answer[1]):
        raise Failed(f"`{envoy.name}` does not tell the limit: {answer}")
    if permissions and answer[1].get("x-seen-permissions", "-") == "-":
        raise Failed(f"`{envoy.name}` does not forward the permissions: {answer}")


def exhaust(envoy: Envoy):
    """Spends the small limit of one subject, and checks that it is one subject's."""
    statuses = [envoy.ask("GET", "/orders/17", tokens.mint())[0] for _ in range(chains.FEW + 10)]
    if statuses[0] != 200 or statuses.count(429) != 10:
        raise Failed(f"`{envoy.name}` refused {statuses.count(429)} of {len(statuses)} at a limit of {chains.FEW}")
    _expect(envoy, "another subject", envoy.ask("GET", "/orders/17", tokens.mint(subject="user-2")), 200)


def revoke(envoy: Envoy, count: int):
    """Fills the revocation table with `count` tokens that nobody uses, and checks that revoking works."""
    admin = tokens.mint(subject="admin", permissions=("tokens:revoke",))
    until = tokens.far_future()
    entries = ['{"jti":"revoked-%08d","expires_at":%d}' % (i, until) for i in range(count)]
    envoy.post_all("/auth/revoke", admin, entries)
    victim = tokens.mint()
    _expect(envoy, "a token before its revocation", envoy.ask("GET", "/orders/17", victim), 200)
    _expect(envoy, "a revocation", envoy.ask("POST", "/auth/revoke", admin, '{"token":"%s"}' % victim), 200)
    _expect(envoy, "a revoked token", envoy.ask("GET", "/orders/17", victim), 401)


def without_the_store(envoy: Envoy) -> int:
    """How many requests a fleet's limit has admitted while its store was not reached."""
    prefixes = ("wasmcustom", "dynamicmodulescustom")
    return sum(envoy.stat(f"{prefix}.api_guard_fleet_share_requests_total") for prefix in prefixes)


def _expect(envoy: Envoy, what: str, answer, status: int):
    if answer[0] != status:
        raise Failed(f"`{envoy.name}` answers {answer[0]} to {what}, not {status}: {answer[2][:300]!r}")
