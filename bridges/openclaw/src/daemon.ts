/** A dispatcher of the gateway's own: `hookwire serve` with a Unix socket in the gateway's state directory. */

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { Backoff } from "../../../sdk/typescript/src/backoff.js";
import type { Log } from "./openclaw.js";

/** How long the daemon may take to say that it listens, in milliseconds. */
const READY_WITHIN = 10_000;

/** A daemon, which is started anew when it ends. */
export class Daemon {
  /** Where it listens. */
  readonly address: string;
  readonly #folder: string;
  readonly #socket: string;
  readonly #backoff = new Backoff(Math.random);
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(
    private readonly command: string,
    stateDir: string,
    private readonly log: Log,
  ) {
    this.#folder = join(stateDir, "hookwire");
    this.#socket = join(this.#folder, "hookwire.sock");
    this.address = `unix:${this.#socket}`;
  }

  /** Starts it, unless one listens there already: a daemon outlives a gateway that crashes. */
  start(onReady: () => void): void {
    const probe = connect(this.#socket);
    probe.unref();
    probe.on("connect", () => {
      probe.destroy();
      this.log.info(
        `hookwire: a dispatcher listens on ${this.address} already; it is used, and left running`,
      );
      onReady();
    });
    probe.on("error", () => this.#spawn(onReady));
  }

  /** Has it stop, by its own drain; nobody waits for that. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#child?.kill("SIGTERM");
  }

  #spawn(onReady: () => void): void {
    if (this.#isStopped) return;
    try {
      this.#child = this.#serve();
    } catch (error) {
      this.log.error(`hookwire: ${this.command} cannot be started: ${error}`);
      return;
    }
    const child = this.#child;
    child.unref();
    (child.stdout as Socket | null)?.unref();
    const late = setTimeout(
      () => this.log.error(`hookwire: ${this.command} serve is not ready yet`),
      READY_WITHIN,
    );
    late.unref();
    const lines = createInterface(child.stdout ?? process.stdin);
    lines.once("line", () => {
      clearTimeout(late);
      this.#backoff.reset();
      this.log.info(`hookwire: started ${this.command} serve (pid ${child.pid}) on ${this.address}`);
      onReady();
    });
    child.on("error", (error) => this.#ended(late, error.message, onReady));
    child.on("exit", (code, signal) => this.#ended(late, `it ended with ${signal ?? code}`, onReady));
  }

  #serve(): ChildProcess {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const log = openSync(join(this.#folder, "hookwire.log"), "a", 0o600);
    try {
      const args = ["serve", "--listen", this.address, "--data-dir", join(this.#folder, "journal")];
      // Of its own group: a Ctrl-C for the gateway is none for the dispatcher, which has ends to deliver behind it.
      return spawn(this.command, args, { stdio: ["ignore", "pipe", log], detached: true });
    } finally {
      closeSync(log);
    }
  }

  #ended(late: NodeJS.Timeout, why: string, onReady: () => void): void {
    clearTimeout(late);
    this.#child = undefined;
    if (this.#isStopped) return;
    this.log.error(`hookwire: ${this.command} serve: ${why}; see ${join(this.#folder, "hookwire.log")}`);
    this.#timer = setTimeout(() => this.start(onReady), this.#backoff.nextWait()).unref();
  }
}
