/** Processes that this test has started, and waiting with a deadline. It ends only what it has started, by its id. */

import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, closeSync, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const running = new Set<Process>();

/** Ends whatever is left, with the groups that they lead. */
export function endAll(): void {
  for (const process of running) process.signal("SIGKILL");
}

/** What was waited for did not come. */
export class Late extends Error {}

/** Waits until `condition` gives something true, and gives that; after `seconds`, throws what was waited for. */
export async function until<T>(
  what: string,
  seconds: number,
  condition: () => T | Promise<T>,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > deadline) throw new Late(`not within ${seconds} s: ${what}`);
    await sleep(20);
  }
}

export interface Start {
  readonly name: string;
  readonly command: readonly string[];
  /** The file that gets what it writes to stdout and stderr. */
  readonly log: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** A process that leads a group of its own, so that what it started can be ended with it. */
export class Process {
  readonly name: string;
  readonly exited: Promise<void>;
  #child: ChildProcess;

  constructor({ name, command: [program = "", ...args], log, env = process.env }: Start) {
    this.name = name;
    const output = openSync(log, "a");
    this.#child = spawn(program, args, { env, detached: true, stdio: ["ignore", output, output] });
    closeSync(output);
    running.add(this);
    this.exited = new Promise((settle) => {
      this.#child.once("error", (error) => {
        appendFileSync(log, `${error}\n`);
        settle();
      });
      this.#child.once("exit", () => settle());
    });
    void this.exited.then(() => running.delete(this));
  }

  get alive(): boolean {
    return running.has(this) && this.#child.pid !== undefined;
  }

  /** SIGKILL goes to the whole group: nothing that it started may stay behind. */
  signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined || !running.has(this)) return;
    try {
      process.kill(signal === "SIGKILL" ? -pid : pid, signal);
    } catch {
      // it is gone, and its exit not yet noticed
    }
  }

  /** Sends the signal and waits for the exit; milliseconds from the one to the other. */
  async end(signal: NodeJS.Signals = "SIGTERM", seconds = 30): Promise<number> {
    const began = performance.now();
    this.signal(signal);
    const left = sleep(seconds * 1000, "still there", { ref: false });
    if ((await Promise.race([this.exited, left])) !== undefined) {
      throw new Error(`${this.name} does not exit: ${seconds} s after ${signal}`);
    }
    return performance.now() - began;
  }
}
