// A plugin in stock grpc-js that counts: plugin.mjs batches|events ADDR EVENTS PROTO_FOLDER…
//
// `batches` speaks hookwire.v1.HookService and acknowledges each message once; `events` speaks
// hookwire.bench.peers.PerEvent, a message and an ack for each event. Says {"ready": …} once it is subscribed and
// {"done": …} with what it has received, one line each, and leaves when its stdin ends.

import { randomUUID } from "node:crypto";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const [form, address, wanted, ...includeDirs] = process.argv.slice(2);

// As in the quick start of grpc-js.
const loader = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true, includeDirs };

const say = (line) => console.log(JSON.stringify(line));

/** How many events have come. */
const tally = {
  events: 0,
  bytes: 0,
  /** What a plugin does with an event, at the least: look at it. */
  take(event) {
    this.events += 1;
    this.bytes += event.json.length;
    if (this.events === Number(wanted)) {
      const tallies = [{ events: this.events, checksum: 0 }];
      say({ done: { ended_ns: Number(process.hrtime.bigint()), tallies, latencies: null } });
    }
  },
};

function client(file, path) {
  const loaded = grpc.loadPackageDefinition(loadSync(file, loader));
  const Client = path.split(".").reduce((scope, name) => scope[name], loaded);
  return new Client(address, grpc.credentials.createInsecure());
}

function batches() {
  const stream = client("hookwire/v1/hook_service.proto", "hookwire.v1.HookService").Subscribe();
  stream.on("data", ({ message, events: batch }) => {
    if (message === "welcome") {
      say({ ready: "" });
    } else if (message === "events") {
      batch.events.forEach((event) => tally.take(event));
      stream.write({ ack: { through_seq: Number(batch.first_seq) + batch.events.length - 1 } });
    }
  });
  const hello = { subscriber_id: "grpc-js", instance_id: randomUUID(), hooks: ["message_*"], max_in_flight: 1024 };
  stream.write({ hello });
  return stream;
}

function events() {
  const stream = client("peers.proto", "hookwire.bench.peers.PerEvent").Subscribe();
  stream.on("metadata", () => say({ ready: "" })); // the server has the call
  stream.on("data", (event) => {
    tally.take(event);
    stream.write({});
  });
  return stream;
}

const stream = { batches, events }[form]();
stream.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
process.stdin.on("end", () => process.exit(0)).resume();
