/** What a stream does when nobody else keeps up. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type Event, Plugin, type PluginOptions } from "@hookwire/sdk";

import type { Call, Request } from "../src/call.js";
import type { Event as WireEvent } from "../src/gen/hookwire/v1/event.js";
import { BatchKind, SubscribeResponse } from "../src/gen/hookwire/v1/hook_service.js";
import { welcome } from "../src/testing_call.js";

/** A dispatcher that always has another event, each of a session of its own. */
class Endless implements Call {
  received = 0;
  isFull = false;
  /** Said in place of the first event. */
  aside: SubscribeResponse | undefined;
  readonly sent: Request[] = [];
  drained = () => {};
  #cancelled: (error: Error) => void = () => {};
  readonly #over = new Promise<never>((_, reject) => {
    this.#cancelled = reject;
  });

  constructor(private readonly payload: WireEvent["payload"]) {
    this.#over.catch(() => {});
  }

  receive(): Promise<SubscribeResponse> {
    this.received += 1;
    const message = this.received === 1 ? welcome("ledger", 1n, false) : this.#batch(this.received - 1);
    const said = this.received === 2 && this.aside !== undefined ? this.aside : { message };
    return Promise.race([this.#over, new Promise<void>(setImmediate).then(() => said)]);
  }

  #batch(seq: number): SubscribeResponse["message"] {
    const session = { id: `s${seq}`, key: "", agentId: "", incarnation: BigInt(seq) };
    const event: WireEvent = {
      id: `event-${seq}`,
      hook: "hook",
      gatewayId: "gateway",
      bootId: "boot",
      session,
      sessionSeq: 1n,
      timeUnixNano: 0n,
      traceparent: "",
      synthetic: false,
      late: false,
      payload: this.payload,
    };
    const batch = { firstSeq: BigInt(seq), kind: BatchKind.LIVE, budgetMs: 1_000, events: [event] };
    return { $case: "events", value: batch };
  }

  /** The last number up to which all is acknowledged. */
  get through(): number {
    const acks = this.sent.flatMap((message) => (message.$case === "ack" ? [message.value] : []));
    return Number(acks.reduce((most, { throughSeq }) => (throughSeq > most ? throughSeq : most), 0n));
  }

  send(message: Request): boolean {
    this.sent.push(message);
    return !this.isFull;
  }

  onDrain(listener: () => void): void {
    this.drained = listener;
  }

  halfClose(): void {}

  cancel(): void {
    this.#cancelled(new Error("cancelled"));
  }
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const json: WireEvent["payload"] = { $case: "json", value: Buffer.from("{}") };

/** Runs a plugin against one, for as long as the test needs. */
async function against(
  call: Endless,
  handler: (event: Event) => unknown,
  test: () => Promise<void>,
): Promise<void> {
  const options: PluginOptions = { logger: silent, grace: 0 };
  const plugin = new Plugin("test", options).on("*", handler as (event: Event) => Promise<void>);
  plugin.transport = { dial: () => call, dice: () => 0 };
  const stop = new AbortController();
  const running = plugin.run({ signal: stop.signal });
  await test();
  stop.abort();
  call.cancel();
  await running;
}

/** Waits until it holds, and then for anything that may come after. */
async function settled(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100_000 && !holds(); turn += 1) await new Promise(setImmediate);
  for (let turn = 0; turn < 100; turn += 1) await new Promise(setImmediate);
  assert.ok(holds());
}

describe("a stream", () => {
  it("goes on after what only a newer dispatcher says", async () => {
    const call = new Endless(json);
    call.aside = SubscribeResponse.decode(Buffer.from([0xfa, 0x01, 0x01, 0x00])); // field 31
    const seen: string[] = [];
    await against(
      call,
      (event) => void seen.push(event.id),
      () => settled(() => seen.length > 0),
    );
    assert.equal(seen[0], "event-2");
  });

  it("is left unread while the transport takes no Acks, and then says all in one", async () => {
    const call = new Endless(json);
    call.isFull = true;
    await against(
      call,
      () => {},
      async () => {
        await settled(() => call.received >= 512);
        const acked = call.sent.length - 1;
        assert.ok(call.received < 600, `${call.received} were read`);
        assert.ok(acked <= 1, "nothing more is given to a transport that is full");
        const { received } = call;
        call.isFull = false;
        call.drained();
        assert.equal(call.through, received - 1);
        await settled(() => call.received > received);
      },
    );
  });

  it("is left unread while as much is in hand as may be", async () => {
    const start = {
      resumedFrom: "",
      previousIncarnation: 0n,
      previousReason: "UNRECOGNIZED",
      sessionFile: "",
    } as const;
    const call = new Endless({ $case: "sessionStart", value: start });
    await against(
      call,
      () => new Promise(() => {}),
      async () => {
        await settled(() => call.received >= 8_193);
        assert.equal(call.received, 8_193, "the Welcome, and what may be in hand");
        assert.equal(call.through, 0);
      },
    );
  });
});
