"""A plugin in stock grpcio that counts: plugin.py batches|events ADDR EVENTS

`batches` speaks hookwire.v1.HookService and acknowledges each message once; `events` speaks hookwire.bench.PerEvent, a
message and an ack for each event. Prints "ready" once it is subscribed, and at the end one line of JSON: the events, and the
seconds from the first to the end of the stream, which comes behind the last ack.
"""

import json
import queue
import resource
import sys
import time
import uuid

import grpc
from hookwire.v1.hook_service_pb2 import Ack, SubscribeRequest
from hookwire.v1.hook_service_pb2_grpc import HookServiceStub
from per_event_pb2 import Ack as EventAck
from per_event_pb2_grpc import PerEventStub


class Tally:
    """How many events have come, and since when."""

    def __init__(self, wanted):
        self.wanted, self.events, self.bytes = wanted, 0, 0

    def take(self, event):
        """What a plugin does with an event, at the least: look at it."""
        if self.events == 0:
            self.began, self.cpu = time.monotonic(), cpu_seconds()
        self.events += 1
        self.bytes += len(event.json)

    def full(self):
        return self.events >= self.wanted

    def report(self):
        seconds, cpu = time.monotonic() - self.began, cpu_seconds() - self.cpu
        print(json.dumps({"events": self.events, "seconds": seconds, "cpu_seconds": cpu}), flush=True)


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def batches(channel, tally):
    hello = SubscribeRequest.Hello(
        subscriber_id="python", instance_id=str(uuid.uuid4()), hooks=["message_received"], max_in_flight=1024
    )
    outbox = queue.SimpleQueue()
    outbox.put(SubscribeRequest(hello=hello))  # before the call: the dispatcher waits for it
    for response in HookServiceStub(channel).Subscribe(iter(outbox.get, None)):
        kind = response.WhichOneof("message")
        if kind == "welcome":
            print("ready", flush=True)
        elif kind == "events":
            batch = response.events
            for event in batch.events:
                tally.take(event)
            outbox.put(SubscribeRequest(ack=Ack(through_seq=batch.first_seq + len(batch.events) - 1)))
            if tally.full():
                outbox.put(SubscribeRequest(goodbye=SubscribeRequest.Goodbye()))
    outbox.put(None)


def events(channel, tally):
    outbox = queue.SimpleQueue()
    outbox.put(EventAck())
    deliveries = PerEventStub(channel).Subscribe(iter(outbox.get, None))
    print("ready", flush=True)
    for delivery in deliveries:
        tally.take(delivery.event)
        outbox.put(EventAck(seq=delivery.seq))
    outbox.put(None)


def main():
    form, address, wanted = sys.argv[1:]
    tally = Tally(int(wanted))
    with grpc.insecure_channel(address) as channel:
        {"batches": batches, "events": events}[form](channel, tally)
    tally.report()


main()
