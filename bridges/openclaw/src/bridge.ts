/** The bridge of a process: one boot at a time, one connection, however often this plugin is evaluated and registered. */

import { Boot, encode } from "./boot.js";
import { Daemon } from "./daemon.js";
import type { GatewayEvent } from "./gen/hookwire/v1/gateway_service.js";
import { Link } from "./link.js";
import { Losses } from "./losses.js";
import type { Log } from "./openclaw.js";
import type { Content } from "./pick.js";
import type { Settings } from "./settings.js";
import { stopReason, translate } from "./translate.js";

/** What OpenClaw's gateway_stop says when it is the plugin that stops, not the gateway. */
const REPLACEMENT = "plugin replacement";

/** How long a gateway may be without this plugin and still count as known, in milliseconds. */
const LONGEST_ABSENCE = 10_000;

const SILENT: Log = { info() {}, warn() {}, error() {} };

/** What one start of the service holds. */
interface Run {
  link: Link;
  readonly daemon: Daemon | undefined;
  readonly settings: Settings;
}

/** Takes hooks in, and forwards them while the service runs. Nothing it does throws, or holds anybody up. */
export class Bridge {
  readonly losses = new Losses(() => this.#log);
  #log = SILENT;
  #settings: Settings | undefined;
  #boot: Boot | undefined = this.#newBoot();
  #run: Run | undefined;
  /** Since when the plugin is away although the gateway goes on. */
  #awaySince: number | undefined;

  /** Whoever registers says what is configured; the latest counts. */
  configure(settings: Settings, log: Log): void {
    this.#settings = settings;
    this.#log = log;
  }

  /** A hook has fired. Returned is what the gateway may wait for: a session's end that is taken in. */
  observe(hook: string, event: unknown, ctx: unknown): Promise<void> | undefined {
    try {
      const boot = this.#bootOf(hook, event);
      return boot && this.#publish(boot, hook, event, ctx);
    } catch (error) {
      this.losses.count("unreadable", 1, `${hook}: ${error}`);
      return undefined;
    }
  }

  /** The gateway runs, or has this plugin back: from now on the boot is attached. Returned is what stop() ends. */
  start(stateDir: string): Run | undefined {
    const settings = this.#settings;
    if (settings === undefined) return undefined;
    this.#run?.link.close();
    const daemon = settings.spawn ? new Daemon(settings.command, stateDir, this.#log) : undefined;
    const away = this.#awaySince === undefined ? 0 : performance.now() - this.#awaySince;
    this.#awaySince = undefined;
    if (this.#boot === undefined || away > LONGEST_ABSENCE) this.#boot = this.#newBoot();
    const run = { link: this.#linkOf(this.#boot, settings, daemon), daemon, settings };
    this.#run = run;
    if (daemon === undefined) run.link.dial();
    else daemon.start(() => run.link.dial());
    return run;
  }

  /** The service ends. Where the gateway stops, its boot is drained; else it may go on with the next start(). */
  async stop(run: Run | undefined): Promise<void> {
    if (run === undefined || run !== this.#run) return;
    this.#run = undefined;
    const { boot } = run.link;
    const isOver = boot.stop !== undefined;
    if (isOver) this.#boot = undefined;
    else this.#awaySince = performance.now();
    await run.link.stop(boot.stop === undefined ? undefined : stopReason(boot.stop));
    if (isOver) this.losses.count("nobody there", boot.queue.held);
    this.losses.say();
    if (isOver) run.daemon?.stop();
  }

  #newBoot(): Boot {
    return new Boot(() => ({
      events: this.#settings?.queueEvents ?? 0,
      bytes: this.#settings?.queueBytes ?? 0,
    }));
  }

  #linkOf(boot: Boot, settings: Settings, daemon: Daemon | undefined): Link {
    const address = daemon?.address ?? settings.address;
    return new Link(boot, { ...settings, address }, this.#log, this.losses);
  }

  /** The boot that a hook belongs to; `undefined` where it is not to be forwarded. */
  #bootOf(hook: string, event: unknown): Boot | undefined {
    if (hook === "gateway_start") return this.#starts();
    if (hook === "gateway_stop" && this.#boot !== undefined) return this.#stops(this.#boot, event);
    if (this.#boot === undefined || this.#run?.link.isOver) {
      this.losses.count("nobody there");
      return undefined;
    }
    return this.#boot;
  }

  /** Each start of the gateway is a new boot, but for the one that follows a replacement of this plugin. */
  #starts(): Boot | undefined {
    let boot = this.#boot;
    if (boot?.replaced) {
      boot.replaced = false;
      if (boot.started) return undefined;
    }
    if (boot === undefined || boot.started) {
      boot = this.#newBoot();
      this.#boot = boot;
      const run = this.#run;
      if (run !== undefined) {
        run.link.close();
        run.link = this.#linkOf(boot, run.settings, run.daemon);
        run.link.dial();
      }
    }
    boot.started = true;
    return boot;
  }

  #stops(boot: Boot, event: unknown): Boot | undefined {
    const reason = String((event as { reason?: unknown } | undefined)?.reason ?? "");
    if (reason === REPLACEMENT) {
      boot.replaced = true;
      return undefined;
    }
    boot.stop = reason;
    return boot;
  }

  #publish(boot: Boot, hook: string, event: unknown, ctx: unknown): Promise<void> | undefined {
    const link = this.#run?.link;
    const said = this.#read(hook, event, ctx, link);
    if (said === undefined) return undefined;
    const { seq, lost } = boot.publish(...said);
    this.losses.count("no room", lost);
    if (link === undefined) return undefined;
    link.send();
    const wait = this.#settings?.sessionEndWaitMs ?? 0;
    return hook === "session_end" && wait > 0 ? link.receipt(seq, wait) : undefined;
  }

  /** What of a firing leaves, with less of its texts where it is too large with all of them. */
  #read(
    hook: string,
    event: unknown,
    ctx: unknown,
    link: Link | undefined,
  ): [GatewayEvent, Uint8Array] | undefined {
    const { content = "none" } = this.#settings ?? {};
    const time = Date.now();
    for (const less of content === "full" ? (["full", "metadata"] as Content[]) : [content]) {
      const said = translate(hook, event, ctx, time, less);
      if (said === undefined) return undefined;
      const encoded = encode(said);
      if (link === undefined || encoded.length <= link.largestEvent) return [said, encoded];
    }
    this.losses.count("too large", 1, hook);
    return undefined;
  }
}
