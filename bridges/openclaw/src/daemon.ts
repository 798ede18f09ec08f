/** A dispatcher of the gateway's own: `hookwire serve` with a Unix socket in the gateway's state directory. */

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";

import { Backoff } from "../../../sdk/typescript/src/backoff.js";
import type { Log } from "./openclaw.js";

/** How long the daemon may take to say that it listens, in milliseconds. */
const READY_WITHIN = 10_000;

/** A daemon that lived so long was none that ends again and again, in milliseconds. */
const STEADY = 5_000;

/** How long whoever comes next waits for one that is told to stop, in milliseconds. */
const STOPPED_WITHIN = 10_000;

/** The longest path of a Unix socket that every system takes, in bytes. */
const LONGEST_SOCKET = 103;

/** A daemon, which is started anew when it ends. */
export class Daemon {
  /** Where it listens. */
  readonly address: string;
  readonly #folder: string;
  readonly #socket: string;
  readonly #backoff = new Backoff(Math.random);
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Why the last one ended. */
  #saidLast = "";
  #isStopped = false;

  constructor(
    readonly command: string,
    stateDir: string,
    private readonly log: Log,
    /** Called whenever it listens, perhaps more than once. */
    private readonly onReady: () => void,
  ) {
    this.#folder = join(stateDir, "hookwire");
    this.#socket = join(this.#folder, "hookwire.sock");
    this.address = `unix:${this.#socket}`;
    if (Buffer.byteLength(this.#socket) > LONGEST_SOCKET) {
      throw new Error(`the path is too long for a Unix socket: ${this.#socket}`);
    }
  }

  /** Starts it, unless one listens there already: a daemon outlives a gateway that crashes. */
  start(): void {
    this.#probe(() => {
      if (this.#child === undefined) {
        this.log.info(
          `hookwire: a dispatcher listens on ${this.address} already: it is used, and left running`,
        );
      }
      this.onReady();
    });
  }

  /** The way to it is lost: one that is not this gateway's child may be gone for good. */
  missed(): void {
    if (this.#child === undefined && this.#timer === undefined) this.#probe(() => {});
  }

  /** Has it stop, by its own drain. The promise settles when it is gone, or takes too long. */
  stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (child === undefined) return Promise.resolve();
    child.kill("SIGTERM");
    return new Promise((resolve) => {
      child.once("exit", () => resolve());
      setTimeout(resolve, STOPPED_WITHIN).unref();
    });
  }

  #probe(found: () => void): void {
    if (this.#isStopped) return;
    const probe = connect(this.#socket);
    probe.unref();
    probe.on("connect", () => {
      probe.destroy();
      if (!this.#isStopped) found();
    });
    probe.on("error", () => this.#spawn());
  }

  #spawn(): void {
    if (this.#isStopped || this.#child !== undefined) return;
    try {
      this.#child = this.#serve();
    } catch (error) {
      this.#ended(`cannot be started: ${error}`);
      return;
    }
    const child = this.#child;
    child.unref();
    const since = performance.now();
    const late = setTimeout(() => this.#say("is not ready yet"), READY_WITHIN).unref();
    const output = child.stdout as Socket | null;
    output?.unref();
    output?.on("data", (said) => {
      if (!String(said).includes('"listening"')) return;
      clearTimeout(late);
      this.log.info(`hookwire: started ${this.command} serve (pid ${child.pid}) on ${this.address}`);
      this.onReady();
    });
    const ended = (why: string) => {
      clearTimeout(late);
      if (performance.now() - since > STEADY) this.#backoff.reset();
      this.#ended(why);
    };
    child.on("error", (error) => ended(notStarted(error)));
    child.on("exit", (code, signal) => ended(`has ended with ${signal ?? code}`));
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

  #ended(why: string): void {
    this.#child = undefined;
    if (this.#isStopped) return;
    if (why !== this.#saidLast) this.#say(why);
    this.#saidLast = why;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.start();
    }, this.#backoff.nextWait()).unref();
  }

  #say(what: string): void {
    this.log.error(`hookwire: ${this.command} serve ${what}; see ${join(this.#folder, "hookwire.log")}`);
  }
}

function notStarted(error: NodeJS.ErrnoException): string {
  const cure =
    error.code === "ENOENT" ? " (not on the gateway's path? The setting command can name it in full)" : "";
  return `cannot be started: ${error.message}${cure}`;
}
