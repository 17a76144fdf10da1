"""A client of HTTP/3, by aioquic. Reads {port, requests: {name: [method, path, headers, sizes of the body's pieces]}}, writes for
each its status and the code of a refusal."""

import asyncio
import json
import signal
import ssl
import sys

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import StreamReset

signal.alarm(60)


class Client(QuicConnectionProtocol):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.http = H3Connection(self._quic)
        self.answers = {}

    def quic_event_received(self, event):
        if isinstance(event, StreamReset) and event.stream_id in self.answers:
            self.end(event.stream_id)
        for seen in self.http.handle_event(event):
            status, body, _ = self.answers[seen.stream_id]
            if isinstance(seen, HeadersReceived):
                status += [int(value) for name, value in seen.headers if name == b":status"]
            if isinstance(seen, DataReceived):
                body.append(seen.data)
            if seen.stream_ended:
                self.end(seen.stream_id)

    def end(self, stream):
        done = self.answers[stream][2]
        if not done.done():
            done.set_result(None)

    async def ask(self, method, path, headers, pieces):
        stream = self._quic.get_next_available_stream_id()
        done = asyncio.get_running_loop().create_future()
        self.answers[stream] = ([], [], done)
        pseudo = {":method": method, ":scheme": "https", ":authority": "api.example.com", ":path": path}
        block = [(name.encode(), value.encode()) for name, value in [*pseudo.items(), *headers]]
        self.http.send_headers(stream, block, end_stream=not pieces)
        for number, size in enumerate(pieces, 1):
            self.http.send_data(stream, b"x" * size, end_stream=number == len(pieces))
        self.transmit()
        await done
        status, body, _ = self.answers[stream]
        answer = b"".join(body)
        code = json.loads(answer).get("code") if status[-1] >= 400 and answer.startswith(b"{") else None
        return [status[-1], code]


async def main():
    told = json.loads(await asyncio.to_thread(sys.stdin.readline))
    configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE)
    answers = {}
    async with connect("127.0.0.1", told["port"], configuration=configuration, create_protocol=Client) as client:
        for name, request in told["requests"].items():
            answers[name] = await client.ask(*request)
    print(json.dumps(answers))


asyncio.run(main())
