// A plugin in stock grpc-js that counts: plugin.mjs PROTO_FOLDER PROTO_FOLDER batches|events ADDR DELIVERIES
//
// `batches` speaks hookwire.v1.HookService and acknowledges each message once; `events` speaks
// hookwire.bench.peers.PerEvent, a message and an ack for each event. What it says on stdout are the words of
// `hookwire bench-plugin`; it leaves when its stdin ends.

import { randomUUID } from "node:crypto";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const [hookwire, peers, form, address, wanted] = process.argv.slice(2);

// As in the quick start of grpc-js.
const loader = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true, includeDirs: [hookwire, peers] };

const say = (line) => console.log(JSON.stringify(line));

/** Deliveries between two words of how far it is: they are the gateway's credit. */
const STEP = 1024;

/** How far it is. */
const tally = {
  taken: 0,
  told: 0,
  bytes: 0,
  /** What a plugin does with an event, at the least: look at it. */
  take(event) {
    this.taken += 1;
    this.bytes += event.hook.length;
  },
  /** All that came is. */
  acknowledged() {
    if (this.taken < this.told + STEP && this.taken !== Number(wanted)) return;
    this.told = this.taken;
    say({ type: "acked", count: this.taken, lost: 0 });
    if (this.taken === Number(wanted)) say({ type: "measured", at_unix_nano: unixNano(), latency: [] });
  },
};

/** To the microsecond, which is what a number bears. */
const unixNano = () => Math.round((performance.timeOrigin + performance.now()) * 1e3) * 1e3;

function client(file, path) {
  const loaded = grpc.loadPackageDefinition(loadSync(file, loader));
  const Client = path.split(".").reduce((scope, name) => scope[name], loaded);
  return new Client(address, grpc.credentials.createInsecure());
}

function batches() {
  const stream = client("hookwire/v1/hook_service.proto", "hookwire.v1.HookService").Subscribe();
  stream.on("data", ({ message, events: batch }) => {
    if (message === "welcome") {
      say({ type: "ready" });
    } else if (message === "events") {
      batch.events.forEach((event) => tally.take(event));
      stream.write({ ack: { through_seq: Number(batch.first_seq) + batch.events.length - 1 } });
      tally.acknowledged();
    }
  });
  const hello = { subscriber_id: "grpc-js", instance_id: randomUUID(), max_in_flight: 1024 };
  stream.write({ hello });
  return stream;
}

function events() {
  const stream = client("peers.proto", "hookwire.bench.peers.PerEvent").Subscribe();
  stream.on("metadata", () => say({ type: "ready" })); // the server has the call
  stream.on("data", (event) => {
    tally.take(event);
    stream.write({});
    tally.acknowledged();
  });
  return stream;
}

const stream = { batches, events }[form]();
stream.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
process.stdin.on("end", () => process.exit(0)).resume();
