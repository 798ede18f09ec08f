/** A dispatcher that takes everything in and remembers it, byte for byte. */

import type { TestContext } from "node:test";

import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerWritableStream,
  status,
} from "@grpc/grpc-js";

import { StopReason } from "../../../sdk/typescript/src/gen/hookwire/v1/event.js";
import {
  type AttachRequest,
  type AttachResponse,
  type DrainRequest,
  type DrainResponse,
  type GatewayEvent,
  GatewayServiceService,
  type AttachRequest_Hello as Hello,
} from "../../../sdk/typescript/src/gen/hookwire/v1/gateway_service.js";

const { attach, drain } = GatewayServiceService;

/** A stub. */
export class Stub {
  readonly hellos: Hello[] = [];
  readonly events: GatewayEvent[] = [];
  readonly drains: DrainRequest[] = [];
  readonly #streams = new Set<ServerDuplexStream<[AttachRequest, Buffer], AttachResponse>>();
  /** Nothing has a receipt. */
  silent = false;
  /** Everything that came, as it came. */
  readonly bytes: Buffer[] = [];

  private constructor(readonly address: string) {}

  static async serve(t: TestContext): Promise<Stub> {
    const server = new Server();
    const recorded = { attach: raw(attach), drain: raw(drain) };
    let stub: Stub | undefined;
    server.addService(recorded, {
      attach: (call: ServerDuplexStream<[AttachRequest, Buffer], AttachResponse>) => stub?.attach(call),
      drain: (call: ServerWritableStream<[DrainRequest, Buffer], DrainResponse>) => stub?.drain(call),
    });
    t.after(() => server.forceShutdown());
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    stub = new Stub(`127.0.0.1:${port}`);
    return stub;
  }

  attach(call: ServerDuplexStream<[AttachRequest, Buffer], AttachResponse>): void {
    this.#streams.add(call);
    call.on("data", ([{ message }, bytes]: [AttachRequest, Buffer]) => {
      this.bytes.push(bytes);
      if (message?.$case === "hello") {
        this.hellos.push(message.value);
        const welcome = {
          ledgerId: "stub",
          resumeAfter: 0n,
          maxEventBytes: 3 << 20,
          drainBudgetMs: 2_000,
          serverVersion: "",
        };
        call.write({ message: { $case: "welcome", value: welcome } });
      } else if (message?.$case === "publish") {
        const { firstPublishSeq, events } = message.value;
        this.events.push(...events);
        if (this.silent) return;
        const throughPublishSeq = firstPublishSeq + BigInt(events.length) - 1n;
        call.write({ message: { $case: "receipt", value: { throughPublishSeq, refused: [] } } });
      }
    });
    call.on("end", () => call.end());
    call.on("error", () => {});
  }

  /** Every stream breaks. */
  break(): void {
    for (const stream of this.#streams) stream.emit("error", { code: status.UNAVAILABLE, details: "broken" });
    this.#streams.clear();
  }

  drain(call: ServerWritableStream<[DrainRequest, Buffer], DrainResponse>): void {
    const [request, bytes] = call.request;
    this.drains.push(request);
    this.bytes.push(bytes);
    const report = {
      reason: request.reason ?? StopReason.SHUTDOWN,
      scope: request.gatewayId,
      durable: false,
      budgetMs: 2_000,
      elapsedMs: 0,
      lastAckMs: undefined,
      sessionsEnded: 0n,
      subscribers: [],
    };
    call.write({ message: { $case: "report", value: report } });
    call.end();
  }
}

/** The same method, of which a handler gets the bytes, too. */
function raw<M extends { requestDeserialize: (bytes: Buffer) => unknown }>(method: M): M {
  return { ...method, requestDeserialize: (bytes: Buffer) => [method.requestDeserialize(bytes), bytes] };
}
