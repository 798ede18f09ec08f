/** OpenClaw's part: a gateway that loads the bundled plugin as the real one does, and a plugin that sees what came. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";

import { folder, HOOKWIRE, PATIENCE, Process } from "../../../sdk/typescript/test/cast.js";
import type { Api, Log, Observer, Service } from "../src/openclaw.js";

/** This package's folder, and the project's. */
export const PACKAGE = fileURLToPath(new URL("../../../../", import.meta.url));
export const PROJECT = join(PACKAGE, "../..");

interface Plugin {
  readonly id: string;
  register(api: Api): void;
}

/** Evaluates the module anew, as OpenClaw does for each of its registries. */
async function evaluate(): Promise<Plugin> {
  evaluations += 1;
  const { default: plugin } = await import(`${join(PACKAGE, "dist/index.js")}?evaluation=${evaluations}`);
  return plugin;
}

let evaluations = 0;

/** Hooks that a real gateway fires from the copy that it registered as "discovery". */
const OF_RUNS = /^(agent_|llm_|model_call_|before_agent_(reply|run|finalize)|before_(model|prompt))/;

/** A gateway in this process. */
export class Gateway {
  readonly logged: string[] = [];
  #full = new Map<string, Observer>();
  #discovery = new Map<string, Observer>();
  #service: Service | undefined;

  private constructor(
    t: TestContext,
    private config: Record<string, unknown>,
    readonly stateDir = folder(t),
  ) {
    Reflect.deleteProperty(globalThis, Symbol.for("hookwire.openclaw")); // as in a process of its own
    t.after(() => this.#service?.stop());
  }

  /** One that is not up yet. */
  static of(t: TestContext, config: Record<string, unknown>): Gateway {
    return new Gateway(t, config);
  }

  /** Boots one; no other may be up in this process. */
  static async boot(t: TestContext, config: Record<string, unknown>, stateDir?: string): Promise<Gateway> {
    const gateway = new Gateway(t, config, stateDir);
    await gateway.start();
    return gateway;
  }

  /** What happens between SIGUSR2's stop and the gateway being up again, too. */
  async start(): Promise<void> {
    await this.load();
    this.fire(
      "gateway_start",
      { port: 18_999 },
      { config: { key: "secret" }, abortSignal: new AbortController().signal },
    );
  }

  /** Evaluates, registers and starts the plugin. */
  async load(): Promise<void> {
    this.#full = this.#register(await evaluate(), "full");
    this.#discovery = this.#register(await evaluate(), "discovery");
    this.#service?.start({ stateDir: this.stateDir });
  }

  #register(plugin: Plugin, registrationMode: string): Map<string, Observer> {
    const observers = new Map<string, Observer>();
    const say = (line: string) => void this.logged.push(line);
    const logger: Log = { info: say, warn: say, error: say };
    plugin.register({
      registrationMode,
      pluginConfig: this.config,
      logger,
      on: (hook, observer) => void observers.set(hook, observer),
      registerService: (service) => {
        assert.equal(registrationMode, "full", "nothing runs elsewhere");
        this.#service = service;
      },
    });
    return observers;
  }

  /** A hook fires; what its observer returns is returned. */
  fire(hook: string, event: unknown = {}, ctx: unknown = {}): Promise<void> | undefined {
    const observers = OF_RUNS.test(hook) ? this.#discovery : this.#full;
    return observers.get(hook)?.(event, ctx);
  }

  /** The plugin is replaced by itself, with another config. */
  async replace(config: Record<string, unknown>): Promise<void> {
    this.fire("gateway_stop", { reason: "plugin replacement" });
    await this.unload();
    this.config = config;
    await this.start();
  }

  /** The service stops, and nothing else. */
  async unload(): Promise<void> {
    await this.#service?.stop();
  }

  /** As SIGTERM does it, or SIGUSR2: gateway_stop first, then the ends of what OpenClaw remembers, then the service. */
  async stop(reason: "shutdown" | "restart", remembered: readonly string[] = []): Promise<void> {
    this.fire("gateway_stop", { reason: reason === "restart" ? "gateway restarting" : "gateway stopping" });
    await Promise.all(remembered.map((sessionId) => this.fire("session_end", { sessionId, reason })));
    await this.unload();
  }

  /** How often a line like this was logged. */
  said(line: RegExp): number {
    return this.logged.filter((logged) => line.test(logged)).length;
  }
}

/** What a plugin was handed. */
export interface Seen {
  readonly hook: string;
  readonly session?: { readonly id: string; readonly incarnation: number };
  readonly reason?: string;
  readonly synthetic: boolean;
  readonly late: boolean;
  readonly boot: string;
  readonly payload: Record<string, unknown>;
}

/** A plugin that takes everything, and prints it. */
export class Tail {
  readonly #process: Process;

  constructor(t: TestContext, to: string, name = "tail", ...flags: string[]) {
    this.#process = new Process(t, HOOKWIRE, [
      "tail",
      "--to",
      to,
      "--as",
      name,
      "--json",
      "--follow",
      ...flags,
    ]);
  }

  /** It is subscribed. */
  async ready(): Promise<this> {
    await this.#process.lines('{"type":"caught_up"');
    return this;
  }

  /** All that came, once it is so many. */
  async seen(count = 0): Promise<Seen[]> {
    const lines = await this.#process.lines('{"type":"event"', count);
    return lines.map((line) => JSON.parse(line));
  }

  /** All that came, once it holds of that. */
  async sees(holds: (seen: Seen[]) => boolean): Promise<Seen[]> {
    for (let count = 1; ; count += 1) {
      const seen = await this.seen(count);
      if (holds(seen)) return seen;
    }
  }

  /** All that came, once so many gateway_stops did. */
  stopped(times = 1): Promise<Seen[]> {
    return this.sees((seen) => seen.filter(({ hook }) => hook === "gateway_stop").length >= times);
  }

  /** Everything that it printed, word for word. */
  get printed(): string {
    return this.#process.stdout.join("\n");
  }
}

/** `start a#1, end a#1 reset`: what came of sessions' lives, in order. */
export function lives(seen: readonly Seen[]): string[] {
  return seen
    .filter(({ hook }) => hook === "session_start" || hook === "session_end")
    .map(({ hook, session, reason }) => {
      const life = `${session?.id}#${session?.incarnation}`;
      return hook === "session_start" ? `start ${life}` : `end ${life} ${reason}`;
    });
}

/** A recorded firing. */
export interface Recorded {
  readonly hook: string;
  readonly event: Record<string, unknown>;
  readonly ctx: Record<string, unknown>;
}

/** A recorded life of a real gateway. */
export function recorded(name: string): Recorded[] {
  const lines = readFileSync(join(PROJECT, "tests/data/openclaw", name), "utf8")
    .trimEnd()
    .split("\n");
  return lines.map((line) => JSON.parse(line));
}

/** Waits until it holds. */
export async function until(holds: () => boolean): Promise<void> {
  for (const began = Date.now(); !holds(); ) {
    assert.ok(Date.now() - began < PATIENCE, "it never held");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
