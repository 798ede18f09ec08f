/** The bridge of a process: one boot at a time, one connection, however often this plugin is evaluated and registered. */

import type { GatewayEvent } from "../../../sdk/typescript/src/gen/hookwire/v1/gateway_service.js";
import { Boot, encode } from "./boot.js";
import { Daemon } from "./daemon.js";
import { Link } from "./link.js";
import { Losses } from "./losses.js";
import type { Log } from "./openclaw.js";
import type { Content } from "./pick.js";
import { DEFAULTS, type Settings } from "./settings.js";
import { stopReason, translate } from "./translate.js";

/** What OpenClaw's gateway_stop says when it is the plugin that stops, not the gateway. */
const REPLACEMENT = "plugin replacement";

/** How long a gateway may be without this plugin before it counts as gone, in milliseconds. */
const LONGEST_ABSENCE = 10_000;

/** What one start of the service holds. */
export interface Run {
  readonly settings: Settings;
  readonly address: string;
  link: Link;
}

/** Takes hooks in, and forwards them while the service runs. Nothing it does throws, or holds anybody up. */
export class Bridge {
  readonly #losses = new Losses(() => this.#log);
  #log: Log = console;
  #settings: Settings | undefined;
  #boot: Boot | undefined = this.#newBoot();
  #run: Run | undefined;
  #daemon: Daemon | undefined;
  /** The daemon before this one is gone. */
  #daemonGone: Promise<void> = Promise.resolve();
  /** Runs while the plugin is away although the gateway goes on. */
  #absence: NodeJS.Timeout | undefined;

  /** Whoever registers says what is configured: whom the gateway runs has the last word, others the first. */
  configure(settings: Settings, log: Log, runs: boolean): void {
    if (!runs && this.#settings !== undefined) return;
    this.#settings = settings;
    this.#log = log;
  }

  /** A hook has fired. Returned is what the gateway may wait for: a session's end that is taken in. */
  observe(hook: string, event: unknown, ctx: unknown): Promise<void> | undefined {
    try {
      const boot = this.#bootOf(hook, event);
      return boot && this.#publish(boot, hook, event, ctx);
    } catch (error) {
      this.#losses.count("unreadable", 1, `${hook}: ${error}`);
      return undefined;
    }
  }

  /** The gateway runs, or has this plugin back: from now on the boot is attached. Returned is what stop() ends. */
  start(stateDir: string): Run | undefined {
    const settings = this.#settings;
    if (settings === undefined) return undefined;
    try {
      this.#run?.link.close();
      this.#isBack();
      const daemon = this.#daemonOf(settings, stateDir);
      this.#daemon = daemon;
      this.#boot ??= this.#newBoot();
      const address = daemon?.address ?? settings.address;
      this.#run = { settings, address, link: this.#linkOf(this.#boot, settings, address) };
      if (daemon === undefined) this.#run.link.dial();
      else void this.#daemonGone.then(() => daemon.start());
    } catch (error) {
      this.#log.error(`hookwire: no hooks are forwarded: ${error instanceof Error ? error.message : error}`);
    }
    return this.#run;
  }

  /** The service ends. Where the gateway stops, its boot is drained; else it may go on with the next start(). */
  async stop(run: Run | undefined): Promise<void> {
    if (run === undefined || run !== this.#run) return;
    this.#run = undefined;
    const { boot } = run.link;
    if (boot.stop === undefined) {
      this.#isAway();
      await run.link.stop(undefined);
      return;
    }
    this.#boot = undefined;
    await run.link.stop(stopReason(boot.stop));
    this.#losses.count("nobody there", boot.queue.held);
    this.#losses.say();
    if (this.#run === undefined) this.#stopDaemon();
  }

  /** The plugin is replaced, or disabled: nobody says which. If it does not come back, its daemon is not to stay. */
  #isAway(): void {
    this.#absence = setTimeout(this.#isGone, LONGEST_ABSENCE).unref();
    process.once("exit", this.#isGone);
  }

  #isBack(): void {
    clearTimeout(this.#absence);
    process.off("exit", this.#isGone);
  }

  readonly #isGone = () => {
    this.#isBack();
    this.#losses.count("nobody there", this.#boot?.queue.held ?? 0);
    this.#boot = undefined;
    this.#stopDaemon();
  };

  /** The daemon of a gateway whose plugin is replaced stays. */
  #daemonOf({ spawn, command }: Settings, stateDir: string): Daemon | undefined {
    if (spawn && this.#daemon?.command === command) return this.#daemon;
    this.#stopDaemon();
    return spawn ? new Daemon(command, stateDir, this.#log, () => this.#run?.link.dial()) : undefined;
  }

  #stopDaemon(): void {
    if (this.#daemon === undefined) return;
    this.#daemonGone = this.#daemon.stop();
    this.#daemon = undefined;
  }

  #newBoot(): Boot {
    return new Boot(() => {
      const { queueEvents, queueBytes } = this.#settings ?? DEFAULTS;
      return { events: queueEvents, bytes: queueBytes };
    });
  }

  #linkOf(boot: Boot, settings: Settings, address: string): Link {
    return new Link(boot, { ...settings, address }, this.#log, this.#losses, () => this.#daemon?.missed());
  }

  /** The boot that a hook belongs to; `undefined` where it is not to be forwarded. */
  #bootOf(hook: string, event: unknown): Boot | undefined {
    if (hook === "gateway_start") return this.#starts();
    const boot = this.#boot;
    const told = boot && hook === "gateway_stop" ? stops(boot, event) : boot;
    if (boot === undefined || this.#run?.link.isOver) {
      this.#losses.count("nobody there");
      return undefined;
    }
    return told;
  }

  /** Each start of the gateway is a new boot, but for the one that follows a replacement of this plugin. */
  #starts(): Boot | undefined {
    const boot = this.#boot;
    if (boot?.started && boot.replaced) {
      boot.replaced = false;
      return undefined;
    }
    const next = boot === undefined || boot.started ? this.#newBoot() : boot;
    next.started = true;
    if (next !== boot) this.#goOnWith(next);
    return next;
  }

  #goOnWith(boot: Boot): void {
    this.#boot = boot;
    const run = this.#run;
    if (run === undefined) return;
    run.link.close();
    run.link = this.#linkOf(boot, run.settings, run.address);
    run.link.dial();
  }

  #publish(boot: Boot, hook: string, event: unknown, ctx: unknown): Promise<void> | undefined {
    const time = Date.now();
    const said = (content: Content) => translate(hook, event, ctx, time, content);
    const read = this.#read(hook, said, boot.largestEvent);
    if (read === undefined) return undefined;
    const { seq, lost } = boot.publish(...read, () => encode(said("none") ?? read[0]));
    this.#losses.count("no room", lost);
    const link = this.#run?.link;
    link?.send();
    const wait = this.#settings?.sessionEndWaitMs ?? 0;
    return hook === "session_end" && wait > 0 ? link?.receipt(seq, wait) : undefined;
  }

  /** What of a firing leaves, with less of its texts where it is too large with all of them. */
  #read(
    hook: string,
    said: (content: Content) => GatewayEvent | undefined,
    largest: number,
  ): [GatewayEvent, Uint8Array] | undefined {
    const { content } = this.#settings ?? DEFAULTS;
    for (const less of new Set<Content>([content, content === "full" ? "metadata" : content])) {
      const event = said(less);
      if (event === undefined) return undefined;
      const encoded = encode(event);
      if (encoded.length <= largest) return [event, encoded];
    }
    this.#losses.count("too large", 1, hook);
    return undefined;
  }
}

/** A boot's gateway_stop, which is not one where only this plugin is replaced. */
function stops(boot: Boot, event: unknown): Boot | undefined {
  const reason = String((event as { reason?: unknown } | undefined)?.reason ?? "");
  if (reason === REPLACEMENT) {
    boot.replaced = true;
    return undefined;
  }
  boot.stop = reason;
  return boot;
}
