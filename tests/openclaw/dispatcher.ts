/** `hookwire serve`, and the plugins that subscribe to it: each a process of its own. */

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

import { Process, until } from "./process.ts";
import { HOOKWIRE } from "./programs.ts";

const READY_SECONDS = 30;

const run = promisify(execFile);

/** What of `hookwire status` is looked at. */
export interface Status {
  readonly live_sessions: number;
  readonly gateways: ReadonlyArray<{ readonly streams: number }>;
  readonly subscribers: ReadonlyArray<{ readonly id: string; readonly connected: boolean }>;
}

export class Dispatcher {
  readonly socket: string;
  readonly #directory: string;
  readonly #flags: readonly string[];
  #process: Process | undefined;

  constructor(directory: string, flags: readonly string[] = []) {
    mkdirSync(directory, { recursive: true });
    this.#directory = directory;
    this.#flags = flags;
    this.socket = join(directory, "hookwire.sock");
  }

  get address(): string {
    return `unix:${this.socket}`;
  }

  /** Starts it, again with the ledger that it had, and waits until it listens. */
  async start(): Promise<void> {
    const log = join(this.#directory, "dispatcher.log");
    const before = listening(log);
    const ledger = ["--data-dir", join(this.#directory, "ledger")];
    this.#process = new Process({
      name: "hookwire serve",
      command: [HOOKWIRE, "serve", "--listen", this.address, ...ledger, ...this.#flags],
      log,
    });
    await until(`hookwire serve listens (${log})`, READY_SECONDS, () => {
      if (this.#process?.alive === false) throw new Error(`hookwire serve has exited: see ${log}`);
      return listening(log) > before;
    });
  }

  /** Waits until these subscribers are connected. */
  async connected(names: readonly string[]): Promise<void> {
    await until(`${names} are connected`, READY_SECONDS, async () => {
      const { subscribers } = await this.status();
      return names.every((name) => subscribers.some(({ id, connected }) => id === name && connected));
    });
  }

  /** Waits until a gateway is. */
  async attached(): Promise<void> {
    await until("a gateway is attached", READY_SECONDS, async () => {
      const { gateways } = await this.status();
      return gateways.some(({ streams }) => streams > 0);
    });
  }

  async status(): Promise<Status> {
    const { stdout } = await run(HOOKWIRE, ["status", "--json", "--to", this.address]);
    return JSON.parse(stdout) as Status;
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#process?.end(signal);
  }
}

/** How often its first line was written to the log. */
function listening(log: string): number {
  return existsSync(log) ? readFileSync(log, "utf8").split('{"listening"').length - 1 : 0;
}

/** A `session_table`: its process, its table, and what it noted of each effect. */
export class Table {
  readonly name: string;
  readonly file: string;
  readonly effects: string;
  readonly process: Process;

  constructor(name: string, command: readonly string[], address: string, directory: string) {
    this.name = name;
    this.file = join(directory, `${name}.db`);
    this.effects = join(directory, `${name}.effects.jsonl`);
    this.process = new Process({
      name,
      command: [...command, this.file],
      log: join(directory, `${name}.log`),
      env: {
        ...process.env,
        HOOKWIRE_ADDR: address,
        HOOKWIRE_SUBSCRIBER: name,
        HOOKWIRE_VERIFY_LOG: this.effects,
      },
    });
  }
}

/** A subscriber that writes what it receives, a JSON line a delivery, and answers as `ack` says. */
export class Listener {
  readonly received: string;
  readonly process: Process;

  constructor(name: string, ack: "ok" | "never", address: string, directory: string) {
    this.received = join(directory, `${name}.jsonl`);
    const flags = ["--as", name, "--ack", ack, "--keep-all", "--follow", "--json"];
    this.process = new Process({
      name,
      command: [HOOKWIRE, "tail", "--to", address, ...flags],
      log: this.received,
    });
  }
}
