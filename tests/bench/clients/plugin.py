"""A plugin in stock grpcio that counts: plugin.py batches|events ADDR EVENTS

`batches` speaks hookwire.v1.HookService and acknowledges each message once; `events` speaks hookwire.bench.peers.PerEvent, a
message and an ack for each event. Says {"ready": …} once it is subscribed and {"done": …} with what it has received, one line
each, and leaves when its stdin ends.
"""

import json
import os
import queue
import sys
import threading
import time
import uuid

import grpc
from hookwire.v1.hook_service_pb2 import Ack, SubscribeRequest
from hookwire.v1.hook_service_pb2_grpc import HookServiceStub
from peers_pb2 import Ack as EventAck
from peers_pb2_grpc import PerEventStub


class Tally:
    """How many events have come."""

    def __init__(self, wanted):
        self.wanted, self.events, self.bytes = wanted, 0, 0

    def take(self, event):
        """What a plugin does with an event, at the least: look at it."""
        self.events += 1
        self.bytes += len(event.json)
        if self.events == self.wanted:
            tallies = [{"events": self.events, "checksum": 0}]
            say({"done": {"ended_ns": time.monotonic_ns(), "tallies": tallies, "latencies": None}})


def say(line):
    print(json.dumps(line), flush=True)


def batches(channel, tally):
    hello = SubscribeRequest.Hello(
        subscriber_id="grpcio", instance_id=str(uuid.uuid4()), hooks=["message_*"], max_in_flight=1024
    )
    outbox = queue.SimpleQueue()
    outbox.put(SubscribeRequest(hello=hello))  # before the call: the dispatcher waits for it
    for response in HookServiceStub(channel).Subscribe(iter(outbox.get, None)):
        kind = response.WhichOneof("message")
        if kind == "welcome":
            say({"ready": ""})
        elif kind == "events":
            batch = response.events
            for event in batch.events:
                tally.take(event)
            outbox.put(SubscribeRequest(ack=Ack(through_seq=batch.first_seq + len(batch.events) - 1)))


def events(channel, tally):
    outbox = queue.SimpleQueue()
    deliveries = PerEventStub(channel).Subscribe(iter(outbox.get, None))
    deliveries.initial_metadata()  # the server has the call
    say({"ready": ""})
    for event in deliveries:
        tally.take(event)
        outbox.put(EventAck())


def leave_with_stdin():
    sys.stdin.read()
    os._exit(0)  # the stream is still open


def main():
    form, address, wanted = sys.argv[1:]
    threading.Thread(target=leave_with_stdin, daemon=True).start()
    with grpc.insecure_channel(address) as channel:
        {"batches": batches, "events": events}[form](channel, Tally(int(wanted)))


main()
