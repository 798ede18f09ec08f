"""A plugin in stock grpcio that counts: plugin.py batches|events ADDR DELIVERIES

`batches` speaks hookwire.v1.HookService and acknowledges each message once; `events` speaks hookwire.bench.peers.PerEvent, a
message and an ack for each event. What it says on stdout are the words of `hookwire bench-plugin`; it leaves when its stdin ends.
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


STEP = 1024  # deliveries between two words of how far it is: they are the gateway's credit


class Tally:
    """How far it is."""

    def __init__(self, wanted):
        self.wanted, self.taken, self.told, self.bytes = wanted, 0, 0, 0

    def take(self, event):
        """What a plugin does with an event, at the least: look at it."""
        self.taken += 1
        self.bytes += len(event.hook)

    def acknowledged(self):
        """All that came is."""
        if self.taken >= self.told + STEP or self.taken == self.wanted:
            self.told = self.taken
            say({"type": "acked", "count": self.taken, "lost": 0})
            if self.taken == self.wanted:
                say({"type": "measured", "at_unix_nano": time.time_ns(), "latency": []})


def say(line):
    print(json.dumps(line), flush=True)


def batches(channel, tally):
    hello = SubscribeRequest.Hello(subscriber_id="grpcio", instance_id=str(uuid.uuid4()), max_in_flight=1024)
    outbox = queue.SimpleQueue()
    outbox.put(SubscribeRequest(hello=hello))  # before the call: the dispatcher waits for it
    for response in HookServiceStub(channel).Subscribe(iter(outbox.get, None)):
        kind = response.WhichOneof("message")
        if kind == "welcome":
            say({"type": "ready"})
        elif kind == "events":
            batch = response.events
            for event in batch.events:
                tally.take(event)
            outbox.put(SubscribeRequest(ack=Ack(through_seq=batch.first_seq + len(batch.events) - 1)))
            tally.acknowledged()


def events(channel, tally):
    outbox = queue.SimpleQueue()
    deliveries = PerEventStub(channel).Subscribe(iter(outbox.get, None))
    deliveries.initial_metadata()  # the server has the call
    say({"type": "ready"})
    for event in deliveries:
        tally.take(event)
        outbox.put(EventAck())
        tally.acknowledged()


def leave_with_stdin():
    sys.stdin.read()
    os._exit(0)  # the stream is still open


def main():
    form, address, wanted = sys.argv[1:]
    threading.Thread(target=leave_with_stdin, daemon=True).start()
    with grpc.insecure_channel(address) as channel:
        {"batches": batches, "events": events}[form](channel, Tally(int(wanted)))


main()
