/** One boot of the gateway: its sessions, and what it has published. It outlives its streams. */

import { randomUUID } from "node:crypto";
import {
  GatewayEvent,
  type AttachRequest_Hello as Hello,
} from "../../../sdk/typescript/src/gen/hookwire/v1/gateway_service.js";
import { Alive } from "./alive.js";
import { LIFECYCLE } from "./hooks.js";
import { Queue, type Size } from "./queue.js";
import { VERSION } from "./version.js";

/** Hooks of the gateway itself: kept as starts and ends of sessions are. */
const OF_THE_GATEWAY: ReadonlySet<string> = new Set(["gateway_start", "gateway_stop"]);

/** What a dispatcher takes in until it says so itself, in bytes. */
const LARGEST_EVENT = 3 << 20;

/** A boot, with one emitter. */
export class Boot {
  readonly queue: Queue;
  #id = randomUUID();
  #emitterId = randomUUID();
  readonly #alive = new Alive();
  /** Its gateway_start came. */
  started = false;
  /** The gateway has replaced this plugin, and goes on. */
  replaced = false;
  /** What its gateway_stop said. */
  stop: string | undefined;
  /** A dispatcher has welcomed it. */
  wasOpen = false;
  /** The largest event that the dispatcher takes in, in bytes. */
  largestEvent = LARGEST_EVENT;

  /** @param room How many events are kept that neither start nor end a session. */
  constructor(room: () => Size) {
    this.queue = new Queue(this.#alive, room);
  }

  /** What a dispatcher knows it by. */
  get id(): string {
    return this.#id;
  }

  /** Somebody else has ended it, but the gateway runs: it goes on as a new one, with the sessions that are alive. */
  renew(): void {
    this.#id = randomUUID();
    this.#emitterId = randomUUID();
  }

  /** What is alive has to be said, if it is not too much. */
  get mustList(): boolean {
    return this.wasOpen || this.queue.shed > 0;
  }

  /**
   * Publishes an event; says under which number, and how many were lost.
   *
   * @param brief The same event without a conversation: that it begins a life is kept, however much it says.
   */
  publish(
    { hook, session }: GatewayEvent,
    encoded: Uint8Array,
    brief: () => Uint8Array,
  ): { seq: number; lost: number } {
    const seq = this.queue.nextSeq;
    const life = this.#alive.follow(seq, hook, session);
    if (LIFECYCLE.has(hook)) {
      const kept = life !== undefined || OF_THE_GATEWAY.has(hook);
      return { seq, lost: this.queue.push(encoded, kept, life) };
    }
    const kept = life !== undefined && !this.queue.hasRoom;
    return { seq, lost: this.queue.push(kept ? brief() : encoded, kept, life) };
  }

  /**
   * What its next stream says first. A boot that was attached before says which sessions are alive, for nobody knows what
   * the dispatcher made of its absence; so does one that had to let go of starts or ends. Any other says nothing about
   * that, which is not the same as "none".
   */
  hello(gatewayId: string): Hello {
    const liveSessions = this.mustList ? this.#alive.list() : undefined;
    return {
      gatewayId,
      bootId: this.#id,
      emitterId: this.#emitterId,
      liveSessions,
      resendThrough: liveSessions === undefined ? 0n : BigInt(this.queue.behind),
      clientName: "@hookwire/openclaw",
      clientVersion: VERSION,
    };
  }
}

/** An event in the bytes of the wire. */
export function encode(event: GatewayEvent): Uint8Array {
  return GatewayEvent.encode(event).finish();
}
