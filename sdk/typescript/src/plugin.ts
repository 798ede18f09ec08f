/** What a plugin is made of. */

import { randomUUID } from "node:crypto";

import { chosenAddress } from "./address.js";
import { type Dial, dial } from "./call.js";
import { NoHandler } from "./errors.js";
import type { DrainNotice } from "./event.js";
import {
  type SubscribeRequest_Hello as Hello,
  RetentionKind,
  WhenFull,
} from "./gen/hookwire/v1/hook_service.js";
import { consoleLogger, type Logger } from "./log.js";
import { type Pulled, pull } from "./pull.js";
import { type Handler, Routes } from "./routes.js";
import { run, stopSignal } from "./run.js";
import { MemoryStore, type Store } from "./store.js";
import type { Sweep } from "./sweep.js";
import { findTracing } from "./trace.js";
import { VERSION } from "./version.js";
import { Work } from "./work.js";

/** What is kept while the plugin is away or does not answer. It grants no more than the dispatcher keeps. */
export interface Retention {
  /** `OWED`: what the ledger owes, starts and ends. `ALL`: every matching event. */
  kind?: "OWED" | "ALL";
  /** For how long, in milliseconds; the dispatcher's default otherwise. */
  maxAge?: number;
  /** How much of it, in bytes; the dispatcher's default otherwise. */
  maxBytes?: number;
}

/** What may be set; the defaults are meant to fit. */
export interface PluginOptions {
  /** `host:port` or `unix:/path`. Otherwise `HOOKWIRE_ADDR` says so, else it is `127.0.0.1:7400`. */
  address?: string;
  /**
   * Whether sessions that are alive when the plugin comes are named to it, as starts. No by default: then it sees only
   * what starts while it is there, and its owed past.
   */
  announce?: boolean;
  /** Only sessions of these agents: ids or globs. */
  agents?: readonly string[];
  /** Only sessions with these keys: keys or globs. */
  keys?: readonly string[];
  /** How many events other than starts and ends may be unanswered at once. The dispatcher's default otherwise. */
  maxInFlight?: number;
  /** What is kept while the plugin is away: starts and ends by default. */
  retention?: Retention;
  /** What is lost when the plugin is too slow: the oldest events by default, never a start or an end. */
  whenFull?: "DROP_OLDEST" | "DROP_NEWEST" | "DISCONNECT";
  /** This process, at most 128 bytes. Random by default, and kept over reconnects. */
  instanceId?: string;
  /** How many handlers may run at once: 256 by default. */
  concurrency?: number;
  /**
   * How long a plugin that was told to stop may go on with what it has in hand, in milliseconds: 10,000 by default.
   * Saying goodbye takes up to 2 s more where the dispatcher does not answer.
   */
  grace?: number;
  /** Remembers answers, for events that come again: a {@link MemoryStore} by default. */
  store?: Store;
  /** Takes what the SDK has to say: the console's stderr by default, without `debug`. */
  logger?: Logger;
}

/** How {@link Plugin.run} is told to stop. */
export interface RunOptions {
  /** In place of SIGTERM and SIGINT. */
  signal?: AbortSignal;
}

/**
 * A plugin: handlers first, then {@link run}.
 *
 * ```ts
 * const plugin = new Plugin("audit");
 * plugin.on("session_*", (event) => console.log(event.hook, event.session?.id));
 * await plugin.run();
 * ```
 */
export class Plugin {
  /**
   * In place of gRPC, and of the jitter's dice.
   *
   * @internal
   */
  transport: { dial: Dial; dice: () => number } | undefined;
  readonly #routes = new Routes();
  readonly #instanceId = randomUUID();

  /** @param name The plugin's durable name, 1 to 128 bytes: what it is owed is kept under it. */
  constructor(
    readonly name: string,
    private readonly options: PluginOptions = {},
  ) {}

  /**
   * Subscribes to the hooks that a glob (`*` and `?`) matches. The first handler that matches gets the event. Starts and
   * ends come together: without a handler for one of them, it is answered OK.
   *
   * Handlers of one session run one after the other, in order; those of different sessions at the same time. Events
   * without a session keep their order among themselves, and a `gateway_stop` waits for all that came before it.
   */
  on(glob: string, handler: Handler): this {
    this.#routes.add(glob, handler);
    return this;
  }

  /** Called at once when a gateway begins to stop, beside whatever is in hand. An error is logged, no more. */
  onDrain(listener: (notice: DrainNotice) => unknown): this {
    this.#routes.onDrain = listener;
    return this;
  }

  /**
   * Called once on each stream, when all that came from before it has been handled. What comes behind is not handled
   * before this returns, so it sees a store at rest. An error is logged, no more.
   */
  onSweep(listener: (sweep: Sweep) => unknown): this {
    this.#routes.onSweep = listener;
    return this;
  }

  /**
   * Runs until SIGTERM or SIGINT (a second one ends the process), or until `signal` says so; then finishes what is in
   * hand, acknowledges it and says Goodbye. A lost connection is dialled again, with jitter, for as long as it takes.
   *
   * @throws Refused when the dispatcher does not want this plugin as it is.
   * @throws Displaced when another process of its name takes its place.
   * @throws NoHandler, InvalidAddress when nothing could be begun.
   */
  async run({ signal }: RunOptions = {}): Promise<void> {
    const { dial, dice } = this.transport ?? overGrpc(this.options.address);
    const stop = stopSignal(signal);
    try {
      await this.#live(dial, dice, stop.signal);
    } finally {
      stop.undo();
    }
  }

  /**
   * Runs, and hands over the events of these globs one by one, in the order in which they have their turn. To ask for
   * the next one is to answer the one before: OK, unless its `accept()`, `retry()` or `reject()` was called. To leave the
   * loop is to stop the plugin, as `signal` would; the event at which it was left comes again.
   *
   * @throws What {@link run} throws, out of the loop.
   */
  async *events(
    globs: string | readonly string[],
    { signal }: RunOptions = {},
  ): AsyncGenerator<Pulled, void, undefined> {
    const stop = stopSignal(signal);
    try {
      yield* pull(this, [globs].flat(), stop.signal);
    } finally {
      stop.undo();
    }
  }

  async #live(dial: Dial, dice: () => number, stop: AbortSignal): Promise<void> {
    if (this.#routes.globs.length === 0) throw new NoHandler();
    const {
      concurrency = 256,
      grace = 10_000,
      store = new MemoryStore(),
      logger = consoleLogger,
    } = this.options;
    const work = new Work(this.#routes, {
      concurrency: Math.max(concurrency, 1),
      // With ALL, any event is replayed; otherwise only starts and ends come again.
      rememberAll: this.options.retention?.kind === "ALL",
      store,
      log: logger,
      inContext: await findTracing(),
    });
    return run(dial, { hello: this.#hello(), grace, log: logger, dice }, work, stop);
  }

  #hello(): Hello {
    const { agents = [], keys = [], retention, whenFull } = this.options;
    return {
      subscriberId: this.name,
      instanceId: this.options.instanceId ?? this.#instanceId,
      hooks: this.#routes.globs,
      filter: { agents: [...agents], keys: [...keys] },
      announce: this.options.announce ?? false,
      maxInFlight: this.options.maxInFlight ?? 0,
      retention: retention && {
        kind: RetentionKind[retention.kind ?? "UNSPECIFIED"],
        maxAgeMs: BigInt(Math.ceil(retention.maxAge ?? 0)),
        maxBytes: BigInt(Math.ceil(retention.maxBytes ?? 0)),
      },
      whenFull: WhenFull[whenFull ?? "UNSPECIFIED"],
      clientName: "hookwire-sdk-typescript",
      clientVersion: VERSION,
    };
  }
}

function overGrpc(address: string | undefined): { dial: Dial; dice: () => number } {
  return { dial: dial(chosenAddress(address)), dice: Math.random };
}
