"""A plugin that counts, in Python: plugin.py async|def|generated ADDR DELIVERIES

`async` and `def` are handlers of the SDK; `generated` is the code that grpcio's generator makes, with an ack for each batch. What it says
on stdout are the words of `hookwire bench-plugin`; it leaves when its stdin ends.
"""

import asyncio
import json
import os
import sys
import threading
import time
import uuid

import grpc
import hookwire
from hookwire.v1.hook_service_pb2 import Ack, SubscribeRequest
from hookwire.v1.hook_service_pb2_grpc import HookServiceStub

STEP = 1024  # deliveries between two words of how far it is: they are the gateway's credit


class Tally:
    """How far it is."""

    def __init__(self, wanted):
        self.wanted, self.taken, self.bytes = wanted, 0, 0
        self.lock = threading.Lock()

    def take(self, event):
        """What a plugin does with an event, at the least: look at it."""
        self.taken += 1
        self.bytes += len(event.hook)
        if self.taken % STEP == 0 or self.taken == self.wanted:
            say({"type": "acked", "count": self.taken, "lost": 0})
            if self.taken == self.wanted:
                say({"type": "measured", "at_unix_nano": time.time_ns(), "latency": []})


def say(line):
    print(json.dumps(line), flush=True)


def subscribe(address, tally, as_async):
    plugin = hookwire.Plugin("python", address=address)

    @plugin.on_sweep
    async def caught_up(sweep):  # it has seen nothing yet, so there is one
        say({"type": "ready"})

    if as_async:

        @plugin.on("*")
        async def take(event):
            tally.take(event)

    else:

        @plugin.on("*")
        def take(event):
            with tally.lock:
                tally.take(event)

    plugin.run()


async def generated(address, tally):
    async with grpc.aio.insecure_channel(address) as channel:
        call = HookServiceStub(channel).Subscribe()
        hello = SubscribeRequest.Hello(subscriber_id="python", instance_id=str(uuid.uuid4()))
        await call.write(SubscribeRequest(hello=hello))
        while True:
            response = await call.read()
            kind = response.WhichOneof("message")
            if kind == "caught_up":
                say({"type": "ready"})
            elif kind == "events":
                batch = response.events
                for event in batch.events:
                    tally.take(event)
                await call.write(SubscribeRequest(ack=Ack(through_seq=batch.first_seq + len(batch.events) - 1)))


def leave_with_stdin():
    sys.stdin.read()
    os._exit(0)  # the stream is still open


def main():
    form, address, wanted = sys.argv[1:]
    tally = Tally(int(wanted))
    threading.Thread(target=leave_with_stdin, daemon=True).start()
    if form == "generated":
        asyncio.run(generated(address, tally))
    else:
        subscribe(address, tally, form == "async")


main()
