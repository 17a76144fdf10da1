#!/bin/sh
# Says of each port of `make run` that is in use by which variable another one is chosen.
set -eu
python3 - PORT "${PORT:-10000}" ADMIN_PORT "${ADMIN_PORT:-9901}" UPSTREAM_PORT "${UPSTREAM_PORT:-10001}" <<'END'
import socket
import sys

names, ports = sys.argv[1::2], sys.argv[2::2]
for name, port in zip(names, ports):
    if not port.isdigit() or not 0 < int(port) < 65536 or ports.count(port) > 1:
        sys.exit(f"{name}={port}: write a port of its own, such as make run {name}=10080")
    try:
        with socket.socket() as probe:
            # A port whose connections have ended is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("0.0.0.0" if name == "PORT" else "127.0.0.1", int(port)))
            probe.listen()
    except OSError as error:
        other = int(port) + 80 if int(port) < 65000 else 10080
        sys.exit(f"port {port} cannot be used ({error.strerror}): choose another one, such as make run {name}={other}")
END
