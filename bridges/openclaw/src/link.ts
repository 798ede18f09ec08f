/** A boot's way to the dispatcher: dials, sends, counts receipts, and dials again. */

import { targetOf } from "../../../sdk/typescript/src/address.js";
import { Backoff } from "../../../sdk/typescript/src/backoff.js";
import type { StopReason } from "../../../sdk/typescript/src/gen/hookwire/v1/event.js";
import {
  type Receipt,
  RefusalCode,
  type AttachResponse_Welcome as Welcome,
} from "../../../sdk/typescript/src/gen/hookwire/v1/gateway_service.js";
import { Condition, isWithin } from "../../../sdk/typescript/src/wait.js";
import type { Boot } from "./boot.js";
import { drained } from "./drain.js";
import type { Losses } from "./losses.js";
import type { Log } from "./openclaw.js";
import type { Settings } from "./settings.js";
import { type Lost, Stream } from "./stream.js";

/** A stream that lasted so long was none that breaks again and again, in milliseconds. */
const STEADY = 5_000;

/** How long the gateway's stop waits for a dispatcher that gave no receipt in time, in milliseconds. */
const FOR_A_SILENT_ONE = 100;

/** Which part of the stop's wait is the drain's alone. */
const FOR_THE_DRAIN = 0.25;

/** What of the settings is about the way to the dispatcher. */
export type Way = Pick<Settings, "address" | "gatewayId" | "stopWaitMs" | "drainWaitMs">;

/** A boot's connection: one stream after the other. */
export class Link {
  readonly #target: string;
  readonly #backoff = new Backoff(Math.random);
  readonly #changes = new Condition();
  #stream: Stream | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the present stream was welcomed. */
  #openedAt: number | undefined;
  /** When the last one was lost. */
  #lostAt: number | undefined;
  #isOver = false;
  #isStopping = false;
  #writable = true;
  #isSending = false;
  /** The last number that has a receipt. */
  #through = 0;
  /** A receipt did not come in time: nobody waits for another one until one comes. */
  #isSilent = false;
  /** How often the queue had let go of starts or ends when the last Hello was said. */
  #shedBefore = 0;

  /** @throws InvalidAddress */
  constructor(
    readonly boot: Boot,
    private readonly way: Way,
    private readonly log: Log,
    private readonly losses: Losses,
    /** Called at each loss of a stream, unless it is the last one. */
    private readonly onLost: () => void,
  ) {
    this.#target = targetOf(way.address);
  }

  /** Nobody will take anything in any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Dials now, unless a stream is there. */
  dial(): void {
    if (this.#isOver || this.#stream !== undefined) return;
    clearTimeout(this.#timer);
    this.#safely(() => {
      this.#stream = new Stream(this.#target, {
        ready: () => this.#safely(() => this.#sayHello()),
        welcome: (welcome) => this.#safely(() => this.#welcome(welcome)),
        receipt: (receipt) => this.#safely(() => this.#receipt(receipt)),
        room: () => this.#safely(() => this.#room()),
        lost: (lost) => this.#lost(lost),
      });
    });
  }

  #sayHello(): void {
    const { queue, mustList } = this.boot;
    this.#shedBefore = queue.shed;
    const hello = this.boot.hello(this.way.gatewayId);
    if (mustList && hello.liveSessions === undefined) {
      this.log.warn(
        "hookwire: too many sessions are alive to be listed: ends that were lost come with the next boot",
      );
    }
    this.#stream?.hello(hello);
  }

  /** Nothing that is called from outside of a hook may throw: it would end the gateway. */
  #safely(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#stream?.close();
      this.#lost({ why: String(error), wait: 0, forGood: false });
    }
  }

  /** There is something to send: it goes out when this turn of the event loop is over, with what else there is. */
  send(): void {
    if (this.#isSending || this.#openedAt === undefined) return;
    this.#isSending = true;
    setImmediate(() => {
      this.#isSending = false;
      this.#safely(() => this.#sendAll());
    });
  }

  /** Waits for a receipt, but no longer than so many milliseconds; not at all where no stream is open. */
  async receipt(seq: number, ms: number): Promise<void> {
    const settled = () => this.#isSilent || this.#through >= seq || this.#openedAt === undefined;
    if (await isWithin(ms, this.#changes.until(settled))) return;
    this.#isSilent = true;
    this.#changes.changed();
  }

  /** Publishes what is queued, and, where the boot is over, has it drained. It never takes longer than is configured. */
  async stop(reason: StopReason | undefined): Promise<void> {
    const { stopWaitMs, drainWaitMs, gatewayId } = this.way;
    const waitMs = this.#isSilent ? Math.min(stopWaitMs, FOR_A_SILENT_ONE) : stopWaitMs;
    const until = performance.now() + waitMs;
    this.#isStopping = true;
    this.dial();
    const settled = () => this.#isOver || (this.#openedAt !== undefined && this.boot.queue.held === 0);
    await isWithin(waitMs * (1 - FOR_THE_DRAIN), this.#changes.until(settled));
    if (this.#stream !== undefined && reason !== undefined) {
      const left = Math.max(1, until - performance.now());
      const said = await drained(
        this.#stream,
        { gatewayId, bootId: this.boot.id, reason },
        left,
        drainWaitMs,
      );
      this.log.info(`hookwire: ${said}`);
    }
    this.close();
  }

  /** Lets go of everything. */
  close(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#stream?.close();
    this.#forget();
  }

  #forget(): void {
    this.#stream = undefined;
    this.#openedAt = undefined;
    this.#changes.changed();
  }

  #welcome({ ledgerId, resumeAfter, maxEventBytes }: Welcome): void {
    this.#settle(Number(resumeAfter));
    this.boot.queue.rewind(Number(resumeAfter));
    this.boot.wasOpen = true;
    if (maxEventBytes > 0) this.boot.largestEvent = maxEventBytes;
    this.losses.count("too large", this.boot.queue.dropLarger(this.boot.largestEvent));
    if (this.#listsAnew()) return;
    this.#openedAt = performance.now();
    this.#writable = true;
    this.#sayAttached(ledgerId);
    this.send();
    this.#changes.changed();
  }

  /** Dials anew where more starts or ends had to go since the last Hello: only a Hello can list what is alive. */
  #listsAnew(): boolean {
    if (this.boot.queue.shed === this.#shedBefore) return false;
    this.#dialAnew();
    return true;
  }

  #dialAnew(): void {
    this.#stream?.close();
    this.#forget();
    this.dial();
  }

  /** The boot is over, perhaps by an operator's drain: a gateway that did not stop goes on as a new one. */
  #renews(): boolean {
    if (this.boot.stop !== undefined) return false;
    this.log.warn(`hookwire: boot ${this.boot.id} was ended at the dispatcher: going on as a new one`);
    this.boot.renew();
    return true;
  }

  #sayAttached(ledger: string): void {
    const { way, boot } = this;
    const away = this.#lostAt === undefined ? undefined : (performance.now() - this.#lostAt) / 1_000;
    const again =
      away === undefined ? "" : ` again after ${away.toFixed(1)} s, ${boot.queue.held} events waited`;
    this.log.info(`hookwire: attached to ${way.address}${again}: boot ${boot.id}, ledger ${ledger}`);
    this.#lostAt = undefined;
  }

  #receipt({ throughPublishSeq, refused }: Receipt): void {
    this.#isSilent = false;
    this.#backoff.reset();
    this.losses.count("refused", refused.length, refused.at(-1)?.text);
    this.#settle(Number(throughPublishSeq));
    if (refused.some(({ code }) => code === RefusalCode.BOOT_OVER) && this.#renews()) this.#dialAnew();
    else this.#sendAll();
    this.#changes.changed();
  }

  #settle(through: number): void {
    this.boot.queue.settle(through);
    this.#through = Math.max(this.#through, through);
  }

  #room(): void {
    this.#writable = true;
    this.#sendAll();
  }

  /** Sends what the transport takes. */
  #sendAll(): void {
    if (this.#openedAt !== undefined && this.#listsAnew()) return;
    while (this.#writable && this.#openedAt !== undefined && this.#stream !== undefined) {
      const batch = this.boot.queue.nextBatch();
      if (batch === undefined) return;
      this.#writable = this.#stream.send(batch);
    }
  }

  #lost({ why, wait, ...lost }: Lost): void {
    const forGood = lost.forGood && !(lost.bootOver && this.#renews());
    if (this.#openedAt !== undefined && performance.now() - this.#openedAt > STEADY) this.#backoff.reset();
    if (forGood) {
      this.log.error(`hookwire: ${why}; this gateway's hooks are not forwarded any more`);
    } else if (this.#lostAt === undefined) {
      this.log.warn(`hookwire: no dispatcher at ${this.way.address}: ${why}; trying again`);
    }
    this.#lostAt ??= performance.now();
    this.#isOver ||= forGood || this.#isStopping;
    this.#forget();
    if (this.#isOver) return;
    this.onLost();
    this.#timer = setTimeout(() => this.dial(), wait + this.#backoff.nextWait()).unref();
  }
}
