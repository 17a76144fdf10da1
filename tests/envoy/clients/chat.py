"""A gRPC service and its client, by grpcio. Writes the service's port, reads {port, token}, writes how each call ended."""

import json
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc

signal.alarm(60)

handlers = {
    "Talk": grpc.stream_stream_rpc_method_handler(lambda messages, _: messages),
    "Count": grpc.stream_unary_rpc_method_handler(lambda messages, _: b"%d" % sum(1 for _ in messages)),
    "Say": grpc.unary_unary_rpc_method_handler(lambda message, _: message),
}
# More than the guard lets pass, so that it is never the service that refuses.
options = [("grpc.max_receive_message_length", 16 << 20)]
server = grpc.server(ThreadPoolExecutor(4), options=options)
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Chat", handlers),))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()

told = json.loads(sys.stdin.readline())
good = (("authorization", f"Bearer {told['token']}"),)
most = 1 << 20


def ended(call, *arguments, metadata=good):
    try:
        answer = call(*arguments, metadata=metadata, timeout=30)
        heard = [bytes(answer)] if isinstance(answer, bytes) else list(answer)
        return "OK", sum(map(len, heard)), ""
    except grpc.RpcError as error:
        return error.code().name, 0, error.details()


def answered(talk):
    """How a chat ends whose second message is too large, after the first was answered."""
    heard = threading.Event()

    def messages():
        yield bytes(10)
        heard.wait(30)
        yield bytes(most + 1)

    answers = talk(messages(), metadata=good, timeout=30)
    try:
        for _ in answers:
            heard.set()
        return "OK"
    except grpc.RpcError as error:
        return error.code().name if heard.is_set() else "UNANSWERED"


with grpc.insecure_channel(f"127.0.0.1:{told['port']}", options=options) as channel:
    talk = channel.stream_stream("/shop.Chat/Talk")
    count = channel.stream_unary("/shop.Chat/Count")
    say = channel.unary_unary("/shop.Chat/Say")
    print(json.dumps({
        "chat": ended(talk, (bytes([i % 256]) * 1000 for i in range(2000))),
        "upload": ended(count, (bytes(1000) for _ in range(2000))),
        "largest": ended(say, bytes(most)),
        "too large": ended(say, bytes(most + 1)),
        "too large in an upload": ended(count, (bytes(size) for size in [10, 10, most + 1, 10])),
        "too large in a chat": answered(talk),
        "no token": ended(say, b"", metadata=()),
        "closed": ended(channel.unary_unary("/shop.Chat/Closed"), b""),
    }))
server.stop(None)
