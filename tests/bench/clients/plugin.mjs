// A plugin in stock grpc-js that counts: plugin.mjs batches|events ADDR EVENTS PROTO_FOLDER…
//
// `batches` speaks hookwire.v1.HookService and acknowledges each message once; `events` speaks hookwire.bench.PerEvent, a
// message and an ack for each event. Prints "ready" once it is subscribed, and at the end one line of JSON: the events, and
// the seconds from the first to the end of the stream, which comes behind the last ack.

import { randomUUID } from "node:crypto";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const [form, address, wanted, ...includeDirs] = process.argv.slice(2);

// As in the quick start of grpc-js.
const loader = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true, includeDirs };

/** How many events have come, and since when. */
const tally = {
  events: 0,
  bytes: 0,
  /** What a plugin does with an event, at the least: look at it. */
  take(event) {
    if (this.events === 0) {
      this.began = process.hrtime.bigint();
      this.cpu = process.cpuUsage();
    }
    this.events += 1;
    this.bytes += event.json.length;
  },
  report() {
    const seconds = Number(process.hrtime.bigint() - this.began) / 1e9;
    const { user, system } = process.cpuUsage(this.cpu);
    console.log(JSON.stringify({ events: this.events, seconds, cpu_seconds: (user + system) / 1e6 }));
  },
};

function service(file, path) {
  const loaded = grpc.loadPackageDefinition(loadSync(file, loader));
  const Client = path.split(".").reduce((scope, name) => scope[name], loaded);
  return new Client(address, grpc.credentials.createInsecure());
}

function batches() {
  const stream = service("hookwire/v1/hook_service.proto", "hookwire.v1.HookService").Subscribe();
  stream.on("data", ({ message, events: batch }) => {
    if (message === "welcome") {
      console.log("ready");
    } else if (message === "events") {
      batch.events.forEach((event) => tally.take(event));
      stream.write({ ack: { through_seq: Number(batch.first_seq) + batch.events.length - 1 } });
      if (tally.events >= Number(wanted)) stream.write({ goodbye: {} });
    }
  });
  stream.write({
    hello: { subscriber_id: "node", instance_id: randomUUID(), hooks: ["message_received"], max_in_flight: 1024 },
  });
  return stream;
}

function events() {
  const stream = service("per_event.proto", "hookwire.bench.PerEvent").Subscribe();
  stream.on("data", ({ seq, event }) => {
    tally.take(event);
    stream.write({ seq });
  });
  stream.write({});
  console.log("ready");
  return stream;
}

const stream = { batches, events }[form]();
stream.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
stream.on("end", () => {
  tally.report();
  stream.end();
  process.exit(0);
});
