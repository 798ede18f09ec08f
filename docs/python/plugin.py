"""A Hookwire plugin from the .proto alone, without an SDK: prints what happens to sessions."""

import os
import queue
import random
import sys
import time
import uuid

import grpc
from hookwire.v1.event_pb2 import SessionEndReason
from hookwire.v1.hook_service_pb2 import Ack, GoodbyeReason, SubscribeRequest
from hookwire.v1.hook_service_pb2_grpc import HookServiceStub

HELLO = SubscribeRequest.Hello(
    subscriber_id="python", instance_id=str(uuid.uuid4()), hooks=["session_*", "gateway_stop"], announce=True
)
OPTIONS = [
    ("grpc.default_authority", "localhost"),  # over a Unix socket gRPC would send the path, which no HTTP/2 server takes
    ("grpc.keepalive_time_ms", 10_000),  # notice a dispatcher that is gone without a word …
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),  # or a ping waits a minute for its answer, whatever the line above says
    ("grpc.http2.max_pings_without_data", 0),  # … also on a stream on which nothing happens
    ("grpc.max_reconnect_backoff_ms", 5_000),
]
# The same Hello would be refused again: it is malformed, or another instance has taken this one's place.
REFUSED = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.UNIMPLEMENTED)


def handle(ledger_id, event):
    # A real plugin writes to its store here: a start inserts the row (ledger_id, incarnation) unless it is there,
    # ended or not; an end closes that row, and where there is none it does nothing.
    reason = SessionEndReason.Name(event.session_end.reason) if event.hook == "session_end" else ""
    print(event.hook, event.session.id, f"{ledger_id}#{event.session.incarnation}", reason, flush=True)


def one_stream(stub):
    """Serves one stream to its end. Returns how long to stay away, in seconds."""
    outbox = queue.SimpleQueue()
    outbox.put(SubscribeRequest(hello=HELLO))  # before the call: the dispatcher waits for it
    wait = 0
    try:
        for response in stub.Subscribe(iter(outbox.get, None)):
            kind = response.WhichOneof("message")
            if kind == "welcome":
                ledger_id = response.welcome.ledger_id
                print("welcome", ledger_id, flush=True)
            elif kind == "events":
                batch = response.events
                for event in batch.events:
                    handle(ledger_id, event)  # an exception ends the program, and what is not acknowledged comes again
                outbox.put(SubscribeRequest(ack=Ack(through_seq=batch.first_seq + len(batch.events) - 1)))
            elif kind == "caught_up":
                pass  # a real plugin sweeps: what its store holds open and was not named on this stream, gets no end
            elif kind == "goodbye":
                print("goodbye", GoodbyeReason.Name(response.goodbye.reason), flush=True)
                if response.goodbye.reason == GoodbyeReason.GOODBYE_REASON_DISPLACED:
                    sys.exit(response.goodbye.text)
                wait = response.goodbye.reconnect_after_ms / 1000
    except grpc.RpcError as error:
        if error.code() in REFUSED:
            sys.exit(error.details())
        print("lost:", error.details(), file=sys.stderr)
    finally:
        outbox.put(None)  # ends the requests
    return wait


with grpc.insecure_channel(os.environ.get("HOOKWIRE_ADDR", "127.0.0.1:7400"), OPTIONS) as channel:
    while True:
        time.sleep(one_stream(HookServiceStub(channel)) + random.uniform(0.2, 2))
