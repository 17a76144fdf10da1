"""What is compared: one Envoy bootstrap for each chain of filters. Everything around the chain is the same for all.

An upstream that answers at once is a direct response of the same Envoy; one that takes its time is another process,
whose CPU is not counted. The native chain enforces the same policy in the same order as api-guard: token (jwt_authn),
limit by address and subject (local_ratelimit), permission (rbac).
"""

import json
from pathlib import Path

import tokens

NETWORK = "type.googleapis.com/envoy.extensions.filters.network"
HTTP = "type.googleapis.com/envoy.extensions.filters.http"
FILTER = "envoy.filters.http"
PLENTY = 100_000_000  # a limit that a benchmark never reaches
FEW = 100  # a limit that a benchmark reaches at once
LONG_WINDOW_SECONDS = 3600
LATE = "/orders/late"  # the one path that goes to the upstream; everything else is answered at once
UPSTREAM_SECONDS = 0.1  # what the slow upstream takes for a request
STORE = "store"  # the cluster of a fleet's store
ANSWER = {"status": 200, "body": {"inline_string": "ok\n"}}

ORDERS = [
    {"path": "/orders/{id}", "methods": ["GET", "POST"], "required_permissions": ["orders:read"]},
    {"path": "/echo/{id}", "methods": ["GET", "POST"], "required_permissions": ["orders:read"]},
]


def guard_policy(
    requests=PLENTY, window=60, routes=None, revocation=False, trusted=False, public_keys=0, fleet=False
) -> dict:
    """api-guard's configuration: token, permission on the route, one limit by address and subject; all else by default.

    So subject and permissions go upstream, and admitted responses tell the limit. `trusted` takes the client's address
    from the header that Envoy sets itself, as `use_remote_address` allows, instead of asking for it. `public_keys`: an
    issuer with a set of so many beside the secret. `fleet`: the limit is one of a fleet.
    """
    limit = {"name": "default", "max_requests": requests, "window_seconds": window, "key": ["client_ip", "subject"]}
    policy = {
        "tokens": {"keys": [{"secret": {"env": "API_GUARD_SECRET"}}]},
        "routes": ORDERS if routes is None else routes,
        "rate_limits": [limit],
    }
    if public_keys:
        inline = {"inline": tokens.public_jwks(public_keys)}
        policy["tokens"]["key_sets"] = [{"name": "login", "issuers": [tokens.ISSUER], "jwks": inline}]
    if trusted:
        policy["client_ip"] = {"from": "x-envoy-external-address"}
    if revocation:
        endpoint = {"path": "/auth/revoke", "required_permissions": ["tokens:revoke"]}
        policy["revocation"] = {"endpoint": endpoint, "capacity": 65_536}
    if fleet:
        limit["scope"] = "fleet"
        # The store shares its core with the load generator, and is never to count as not reached.
        secret = {"value": tokens.SECRET.decode()[::-1]}
        policy["fleet"] = {"cluster": STORE, "secret": secret, "timeout_milliseconds": 1000}
    return policy


def numbered_routes(count: int) -> list[dict]:
    return [
        {"path": f"/service-{i:05d}/orders/{{id}}", "methods": ["GET"], "required_permissions": ["orders:read"]}
        for i in range(count)
    ]


def wasm(module: Path, vm_id: str, configuration: str | None = None) -> list[dict]:
    """The chain of one WebAssembly filter, with the secret in its environment."""
    plugin = {
        "name": vm_id,
        "root_id": vm_id,
        "failure_policy": "FAIL_RELOAD",
        "allow_on_headers_stop_iteration": True,
        "vm_config": {
            "vm_id": vm_id,
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": str(module)}},
            "environment_variables": {"key_values": {"API_GUARD_SECRET": tokens.SECRET.decode()}},
        },
    }
    if configuration is not None:
        plugin["configuration"] = {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": configuration,
        }
    return [{"name": f"{FILTER}.wasm", "typed_config": {"@type": f"{HTTP}.wasm.v3.Wasm", "config": plugin}}]


def library(file: Path, filter_name: str, configuration: str) -> list[dict]:
    """The chain of one native library, which reads the secret from Envoy's own environment."""
    config = {
        "@type": f"{HTTP}.dynamic_modules.v3.DynamicModuleFilter",
        "dynamic_module_config": {"do_not_close": True, "module": {"local": {"filename": str(file)}}},
        "filter_name": filter_name,
        "filter_config": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration},
    }
    return [{"name": f"{FILTER}.dynamic_modules", "typed_config": config}]


def native(cache: bool, requests=PLENTY, window=60, public=False) -> list[dict]:
    """Envoy's own filters doing what `guard_policy` asks for: the subject goes upstream, and answers tell the limit."""
    provider = {
        "local_jwks": {"inline_string": tokens.jwks()},
        "forward": True,
        "require_expiration": True,
        "clock_skew_seconds": 1,
        "payload_in_metadata": "claims",
        "claim_to_headers": [{"header_name": "x-auth-subject", "claim_name": "sub"}],
    }
    if public:
        provider |= {"issuer": tokens.ISSUER, "local_jwks": {"inline_string": json.dumps(tokens.public_jwks())}}
    if cache:
        provider["jwt_cache_config"] = {"jwt_cache_size": 100}
    jwt_authn = {
        "@type": f"{HTTP}.jwt_authn.v3.JwtAuthentication",
        "providers": {"bench": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "bench"}}],
    }
    bucket = {"max_tokens": requests, "tokens_per_fill": requests, "fill_interval": f"{window}s"}
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    local_ratelimit = {
        "@type": f"{HTTP}.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "bench",
        "token_bucket": {"max_tokens": PLENTY, "tokens_per_fill": PLENTY, "fill_interval": "60s"},
        "always_consume_default_token_bucket": False,
        "filter_enabled": always,
        "filter_enforced": always,
        "descriptors": [{"entries": [{"key": "remote_address"}, {"key": "subject"}], "token_bucket": bucket}],
        "max_dynamic_descriptors": 10_000,
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
    }
    # On the filter, not on the route: a direct response has no route entry, and Envoy would pass over its limits.
    subject = {"request_headers": {"header_name": "x-auth-subject", "descriptor_key": "subject"}}
    local_ratelimit["rate_limits"] = [{"actions": [{"remote_address": {}}, subject]}]
    may_read = {
        "filter": f"{FILTER}.jwt_authn",
        "path": [{"key": "claims"}, {"key": "permissions"}],
        "value": {"list_match": {"one_of": {"string_match": {"exact": "orders:read"}}}},
    }
    orders = {"or_rules": {"rules": [{"url_path": {"path": {"prefix": p}}} for p in ("/orders/", "/echo/")]}}
    policy = {"permissions": [orders], "principals": [{"metadata": may_read}]}
    rbac = {"@type": f"{HTTP}.rbac.v3.RBAC", "rules": {"action": "ALLOW", "policies": {"read-orders": policy}}}
    chain = {"jwt_authn": jwt_authn, "local_ratelimit": local_ratelimit, "rbac": rbac}
    return [{"name": f"{FILTER}.{name}", "typed_config": config} for name, config in chain.items()]


def bootstrap(
    chain: list[dict],
    port: int,
    admin_port: int,
    bodies=False,
    upstream_port: int | None = None,
    store_port: int | None = None,
) -> dict:
    """A whole Envoy with this chain. `/echo/` also shows in its response what would have reached the upstream.

    `bodies` waits for the body behind the chain: a direct response to a request half read closes the connection, and
    what would be measured is the connecting. `upstream_port` is where requests to `LATE` go, for as long as they take.
    `store_port`: where a fleet has its store.
    """
    behind = []
    if bodies:
        buffer = {"@type": f"{HTTP}.buffer.v3.Buffer", "max_request_bytes": 1_048_576}
        behind = [{"name": f"{FILTER}.buffer", "typed_config": buffer}]
    seen = [
        {"header": {"key": f"x-seen-{name}", "value": f"%REQ(x-auth-{name})%"}} for name in ("subject", "permissions")
    ]
    routes = [
        {"match": {"prefix": "/orders/"}, "direct_response": ANSWER},
        {"match": {"prefix": "/echo/"}, "direct_response": ANSWER, "response_headers_to_add": seen},
        {"match": {"prefix": "/"}, "direct_response": ANSWER},
    ]
    clusters = [] if store_port is None else [_store(store_port)]
    if upstream_port is not None:
        routes.insert(0, {"match": {"path": LATE}, "route": {"cluster": "upstream", "timeout": "0s"}})
        clusters.append(_cluster(upstream_port))
    return _server([*chain, *behind], routes, port, admin_port, clusters)


def slow_upstream(port: int, admin_port: int) -> dict:
    """An Envoy that answers every request after `UPSTREAM_SECONDS`, however many wait at a time."""
    delay = {"fixed_delay": f"{UPSTREAM_SECONDS}s", "percentage": {"numerator": 100, "denominator": "HUNDRED"}}
    fault = {"@type": f"{HTTP}.fault.v3.HTTPFault", "delay": delay}
    routes = [{"match": {"prefix": "/"}, "direct_response": ANSWER}]
    return _server([{"name": f"{FILTER}.fault", "typed_config": fault}], routes, port, admin_port)


def _server(filters: list[dict], routes: list[dict], port: int, admin_port: int, clusters: list[dict] = ()) -> dict:
    manager = {
        "@type": f"{NETWORK}.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "use_remote_address": True,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            *filters,
            {"name": f"{FILTER}.router", "typed_config": {"@type": f"{HTTP}.router.v3.Router"}},
        ],
    }
    listener = {
        "name": "bench",
        "address": _address(port),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    resources = {"listeners": [listener], "clusters": list(clusters)}
    return {"admin": {"address": _address(admin_port)}, "static_resources": resources}


def _cluster(port: int) -> dict:
    """The upstream, without Envoy's usual 1,024 requests at a time."""
    unlimited = {key: 1_000_000 for key in ("max_connections", "max_pending_requests", "max_requests")}
    return {
        "name": "upstream",
        "connect_timeout": "10s",
        "circuit_breakers": {"thresholds": [unlimited]},
        "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}],
        },
    }


def _store(port: int) -> dict:
    pool = "type.googleapis.com/envoy.extensions.upstreams.http.tcp.v3.TcpConnectionPoolProto"
    return {
        "name": STORE,
        "connect_timeout": "1s",
        "upstream_config": {"name": "envoy.filters.connection_pools.http.tcp", "typed_config": {"@type": pool}},
        "load_assignment": {
            "cluster_name": STORE,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}],
        },
    }


def _address(port: int) -> dict:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
