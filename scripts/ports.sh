#!/bin/sh
# Says of each port of `make run` that is in use by which variable another one is chosen, and what a fleet needs.
set -eu
FLEET=${FLEET:-1}
case $FLEET in
    [1-9]) ;;
    *) echo "FLEET=$FLEET: write how many Envoys, 1 to 9, such as make run FLEET=3" >&2; exit 1 ;;
esac
UPSTREAM_PORT=${UPSTREAM_PORT:-10001}
set -- PORT "${PORT:-10000}" "$FLEET" ADMIN_PORT "${ADMIN_PORT:-9901}" "$FLEET"
if [ "$FLEET" -gt 1 ]; then
    command -v redis-server >/dev/null || command -v valkey-server >/dev/null || {
        echo "a fleet needs a store: install redis-server (Debian: apt-get install redis-server) or valkey-server" >&2
        exit 1
    }
    set -- "$@" REDIS_PORT "${REDIS_PORT:-16379}" 1
    # The usual one is the second Envoy's.
    [ "$UPSTREAM_PORT" != 10001 ] || UPSTREAM_PORT=10020
fi
python3 - "$@" UPSTREAM_PORT "$UPSTREAM_PORT" 1 <<'END'
import socket
import sys

arguments = list(zip(sys.argv[1::3], sys.argv[2::3], map(int, sys.argv[3::3])))
taken = []
for name, first, count in arguments:
    if not first.isdigit() or not 0 < int(first) <= 65536 - count:
        sys.exit(f"{name}={first}: write a port of its own, such as make run {name}=10080")
    for port in range(int(first), int(first) + count):
        if port in taken:
            sys.exit(f"{name}={first}: write a port of its own, such as make run {name}=10080")
        taken.append(port)
        try:
            with socket.socket() as probe:
                # A port whose connections have ended is free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("0.0.0.0" if name == "PORT" else "127.0.0.1", port))
                probe.listen()
        except OSError as error:
            other = int(first) + 80 if int(first) < 65000 else 10080
            sys.exit(f"port {port} cannot be used ({error.strerror}): choose another one, such as make run {name}={other}")
END
