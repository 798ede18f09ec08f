/** Real processes: a dispatcher, a gateway, and plugins. */

import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { Condition, within } from "../src/wait.js";

/** This package's folder. */
export const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));

/** How long anything may take: only a fault takes so long. */
export const PATIENCE = 60_000;

/** The binary under test: what `HOOKWIRE` names, else the project's own. */
export const HOOKWIRE = process.env.HOOKWIRE ?? join(PACKAGE, "../../target/release/hookwire");
assert.ok(
  existsSync(HOOKWIRE),
  `${HOOKWIRE} is not there: cargo build --release, or name another in HOOKWIRE`,
);

/** A process of ours, whose lines are read as they come, and which ends with the test. */
export class Process {
  readonly stdout: string[] = [];
  readonly stderr: string[] = [];
  readonly #child: ChildProcess;
  readonly #changed = new Condition();
  readonly #exited: Promise<number | null>;

  constructor(t: TestContext, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.#child = spawn(command, args, { env: { ...process.env, ...env }, stdio: "pipe" });
    this.#exited = new Promise((resolve) => {
      this.#child.on("close", resolve);
    });
    this.#read(this.#child.stdout, this.stdout);
    this.#read(this.#child.stderr, this.stderr);
    t.after(() => this.kill("SIGKILL"));
  }

  #read(from: NodeJS.ReadableStream | null, into: string[]): void {
    assert.ok(from);
    createInterface(from).on("line", (line) => {
      into.push(line);
      this.#changed.changed();
    });
  }

  /** Waits until as many lines have begun so, on stdout or stderr; returns them. */
  async lines(start: string, count = 1): Promise<string[]> {
    const found = () => [...this.stdout, ...this.stderr].filter((line) => line.startsWith(start));
    const came = this.#changed.until(() => found().length >= count).then(() => true);
    assert.ok(await within(PATIENCE, came), `no ${count} lines ${start}: ${this.#said()}`);
    return found();
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  hangUp(): void {
    this.#child.stdin?.end();
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Waits for its end, which must be with this code. */
  async end(code: number | null): Promise<void> {
    const exited = await within(PATIENCE, this.#exited);
    assert.equal(exited, code, this.#said());
  }

  #said(): string {
    return [this.#child.spawnargs.join(" "), ...this.stdout, ...this.stderr].join("\n");
  }
}

/** A folder that goes with the test. */
export function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "hookwire-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A dispatcher. */
export class Dispatcher {
  private constructor(
    readonly process: Process,
    readonly address: string,
  ) {}

  static async serve(t: TestContext, ...flags: string[]): Promise<Dispatcher> {
    const listen = flags.includes("--listen") ? [] : ["--listen", "127.0.0.1:0"];
    const keep = flags.includes("--data-dir") ? [] : ["--in-memory"];
    const serve = new Process(t, HOOKWIRE, ["serve", ...listen, ...keep, ...flags], { HOOKWIRE_LOG: "warn" });
    const [first = ""] = await serve.lines("{");
    return new Dispatcher(serve, JSON.parse(first).listening[0]);
  }

  /** Stops it, and returns its drain report. */
  async stop(): Promise<Report> {
    this.process.kill("SIGTERM");
    await this.process.end(0);
    return JSON.parse(this.process.stdout.at(-1) ?? "");
  }

  /** What `hookwire status` says of a subscriber, once that holds. */
  async subscriber(id: string, holds: (status: Subscriber) => boolean): Promise<Subscriber> {
    for (const began = Date.now(); Date.now() - began < PATIENCE; ) {
      const status = JSON.parse(await hookwire("status", "--to", this.address, "--json"));
      const found = status.subscribers.find((subscriber: Subscriber) => subscriber.id === id);
      if (found !== undefined && holds(found)) return found;
    }
    throw new Error(`it never held for ${id}`);
  }
}

/** A part of a drain report. */
export interface Report {
  readonly subscribers: Array<{ id: string; owed: number; acked: number; carried_over: number }>;
}

/** A part of the status. */
export interface Subscriber {
  readonly id: string;
  readonly connected: boolean;
  readonly acked: number;
  readonly owed: number;
  readonly in_flight: number;
}

/** Runs the binary, and returns what it prints. */
export async function hookwire(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(HOOKWIRE, args, { timeout: PATIENCE });
  return stdout;
}

/** A gateway that stays attached. */
export class Gateway {
  readonly #process: Process;

  constructor(t: TestContext, { address }: Dispatcher, name = "gateway") {
    const args = ["publish", "--to", address, "--gateway", name, "--hold", "--drain", "never"];
    this.#process = new Process(t, HOOKWIRE, args);
  }

  start(id: string): void {
    this.#fire("session_start", { sessionId: id, sessionKey: `key-${id}` });
  }

  end(id: string, reason: string): void {
    this.#fire("session_end", { sessionId: id, sessionKey: `key-${id}`, reason });
  }

  message(id: string): void {
    this.#fire("message_received", { sessionId: id, text: "hello" });
  }

  #fire(hook: string, event: object): void {
    this.#process.write(`${JSON.stringify({ hook, event })}\n`);
  }
}

/** One of the examples, as a process. */
export function example(t: TestContext, name: string, args: string[], env: NodeJS.ProcessEnv): Process {
  return new Process(t, process.execPath, [join(PACKAGE, "build/examples", `${name}.js`), ...args], env);
}

/** The lines of a file of JSON, none where it is not there yet. */
export function jsonLines(path: string): Array<Record<string, unknown>> {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line));
}
