"""A WebSocket service and its client, by websockets. Writes the service's port, reads {port, token, other}, writes what came of it."""

import asyncio
import json
import signal
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import InvalidStatus

signal.alarm(60)
heard = []


async def echo(connection):
    headers = connection.request.headers
    heard.append([headers.get("sec-websocket-protocol"), headers.get("x-auth-subject")])
    async for message in connection:
        await connection.send(message)


async def asked(port, protocols):
    try:
        async with connect(f"ws://127.0.0.1:{port}/chat", subprotocols=protocols, compression=None) as connection:
            echoed = 0
            for number in range(30):
                message = bytes([number]) * 100_000
                await connection.send(message)
                echoed += await connection.recv() == message
            return [101, connection.subprotocol, echoed]
    except InvalidStatus as error:
        return [error.response.status_code, None, 0]


async def main():
    async with serve(echo, "127.0.0.1", 0, subprotocols=["chat", "bearer"], compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        told = json.loads(await asyncio.to_thread(sys.stdin.readline))
        port, token, other = told["port"], told["token"], told["other"]
        answers = {
            "bearer": await asked(port, ["bearer", token]),
            "chat": await asked(port, ["chat", "bearer", token]),
            "none": await asked(port, ["chat"]),
            "expired": await asked(port, ["bearer", other]),
        }
        print(json.dumps({**answers, "heard": heard}))


asyncio.run(main())
