// A plugin that counts, in TypeScript's SDK: plugin.mjs SDK_BUILD async|function|generated ADDR DELIVERIES
//
// `async` and `function` are handlers of the SDK, which is built in SDK_BUILD; `generated` is ts-proto's code on grpc-js, with an ack
// for each batch. What it says on stdout are the words of `hookwire bench-plugin`; it leaves when its stdin ends.

import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [build, form, address, wanted] = process.argv.slice(2);

const from = (file) => import(pathToFileURL(`${build}/${file}`));

const say = (line) => console.log(JSON.stringify(line));

/** Deliveries between two words of how far it is: they are the gateway's credit. */
const STEP = 1024;

/** How far it is. */
const tally = {
  wanted: Number(wanted),
  taken: 0,
  bytes: 0,
  /** What a plugin does with an event, at the least: look at it. */
  take(event) {
    this.taken += 1;
    this.bytes += event.hook.length;
    if (this.taken % STEP !== 0 && this.taken !== this.wanted) return;
    say({ type: "acked", count: this.taken, lost: 0 });
    if (this.taken === this.wanted) say({ type: "measured", at_unix_nano: unixNano(), latency: [] });
  },
};

/** To the microsecond, which is what a number bears. */
const unixNano = () => Math.round((performance.timeOrigin + performance.now()) * 1e3) * 1e3;

async function subscribe(handler) {
  const { Plugin } = await from("src/index.js");
  const plugin = new Plugin("typescript", { address });
  plugin.on("*", handler).onSweep(() => say({ type: "ready" }));
  await plugin.run();
}

async function generated() {
  const { credentials } = createRequire(`${build}/src/index.js`)("@grpc/grpc-js");
  const { HookServiceClient, WhenFull } = await from("src/gen/hookwire/v1/hook_service.js");
  const stream = new HookServiceClient(address, credentials.createInsecure()).subscribe();
  stream.on("data", ({ message }) => {
    if (message?.$case === "caughtUp") {
      say({ type: "ready" });
    } else if (message?.$case === "events") {
      const { firstSeq, events } = message.value;
      for (const event of events) tally.take(event);
      const throughSeq = firstSeq + BigInt(events.length - 1);
      stream.write({ message: { $case: "ack", value: { throughSeq, exceptions: [] } } });
    }
  });
  stream.write({ message: { $case: "hello", value: hello(WhenFull.UNSPECIFIED) } });
}

const hello = (whenFull) => ({
  subscriberId: "typescript",
  instanceId: randomUUID(),
  hooks: [],
  filter: undefined,
  announce: false,
  maxInFlight: 0,
  retention: undefined,
  whenFull,
  clientName: "",
  clientVersion: "",
});

const forms = {
  async: () => subscribe(async (event) => tally.take(event)),
  function: () => subscribe((event) => tally.take(event)),
  generated,
};
process.stdin.on("end", () => process.exit(0)).resume();
await forms[form]();
