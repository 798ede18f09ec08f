/** A dispatcher of the gateway's own: `hookwire serve` with a Unix socket in the gateway's state directory. */

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";

import { Backoff } from "../../../sdk/typescript/src/backoff.js";
import type { Log } from "./openclaw.js";

/** How long the daemon may take to say that it listens, in milliseconds. */
const READY_WITHIN = 10_000;

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
    const probe = connect(this.#socket);
    probe.unref();
    probe.on("connect", () => {
      probe.destroy();
      if (this.#child === undefined) {
        this.log.info(
          `hookwire: a dispatcher listens on ${this.address} already: it is used, and left running`,
        );
      }
      this.onReady();
    });
    probe.on("error", () => this.#spawn());
  }

  /** Has it stop, by its own drain; nobody waits for that. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#child?.kill("SIGTERM");
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
    const late = setTimeout(() => this.#say("is not ready yet"), READY_WITHIN).unref();
    const output = child.stdout as Socket | null;
    output?.unref();
    output?.once("data", () => {
      clearTimeout(late);
      this.#backoff.reset();
      this.log.info(`hookwire: started ${this.command} serve (pid ${child.pid}) on ${this.address}`);
      this.onReady();
    });
    const ended = (why: string) => {
      clearTimeout(late);
      this.#ended(why);
    };
    child.on("error", (error) => ended(`cannot be started: ${error.message}`));
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
    this.#say(why);
    this.#timer = setTimeout(() => this.start(), this.#backoff.nextWait()).unref();
  }

  #say(what: string): void {
    this.log.error(`hookwire: ${this.command} serve ${what}; see ${join(this.#folder, "hookwire.log")}`);
  }
}
