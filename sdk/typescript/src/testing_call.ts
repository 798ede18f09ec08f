/** Both ends of one stream in memory. */

import type { Call, Request } from "./call.js";
import type { Event } from "./gen/hookwire/v1/event.js";
import {
  type Ack,
  type AckException,
  AckStatus,
  type BatchKind,
  GoodbyeReason,
  type SubscribeRequest_Hello as Hello,
  SubscribeRequest,
  SubscribeResponse,
  WhenFull,
} from "./gen/hookwire/v1/hook_service.js";
import type { Condition } from "./wait.js";

/** What a plugin answered, as a dispatcher reads it. */
export interface TestAnswer {
  readonly status: "OK" | "ACCEPTED" | "RETRY" | "REJECT";
  /** Of a Retry: not before so many milliseconds; 0 leaves it to the dispatcher. */
  readonly after: number;
  /** Of a Reject. */
  readonly code: string;
  /** Of a Retry or a Reject. */
  readonly text: string;
}

/** An event that is handed over, on one stream or on one after the other until it is settled. */
export class Owed {
  answer: TestAnswer | undefined;
  #waiting: Array<{ resolve: (answer: TestAnswer) => void; reject: (error: Error) => void }> = [];

  constructor(readonly event: Event) {}

  get isSettled(): boolean {
    return this.answer !== undefined && this.answer.status !== "RETRY";
  }

  /** The next answer. */
  answered(): Promise<TestAnswer> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  settle(answer: TestAnswer): void {
    this.answer = answer;
    for (const { resolve } of this.#waiting.splice(0)) resolve(answer);
  }

  lose(): void {
    const lost = new Error(`the stream broke before ${this.event.hook} was answered`);
    for (const { reject } of this.#waiting.splice(0)) reject(lost);
  }
}

/** One stream, as the plugin's transport and as the dispatcher's end of it. */
export class TestCall implements Call {
  hello: Hello | undefined;
  /** What the dispatcher has to say at first is said. */
  isCaughtUp = false;
  readonly unanswered = new Map<bigint, Owed>();
  #seq = 0n;
  #over: "ended" | "broken" | undefined;
  readonly #messages: SubscribeResponse[] = [];
  #isReading = false;

  constructor(
    readonly condition: Condition,
    private readonly onAnswer: () => void,
  ) {}

  /** Whether the plugin has read everything. */
  get isDelivered(): boolean {
    return this.isCaughtUp && this.#messages.length === 0;
  }

  /** Whether it waits for more. */
  get isIdle(): boolean {
    return this.#isReading && this.isDelivered;
  }

  async receive(): Promise<SubscribeResponse | undefined> {
    this.#isReading = true;
    this.condition.changed();
    await this.condition.until(() => this.#messages.length > 0 || this.#over !== undefined);
    this.#isReading = false;
    const message = this.#messages.shift();
    this.condition.changed();
    if (message === undefined && this.#over === "broken") throw new Error("the test broke the stream");
    return message;
  }

  send(sent: Request): boolean {
    if (this.#over !== undefined) return true; // an answer counts only on the stream that carried the delivery
    const { message } = SubscribeRequest.decode(SubscribeRequest.encode({ message: sent }).finish());
    if (message?.$case === "hello") this.hello = message.value;
    if (message?.$case === "ack") this.#hear(message.value);
    if (message?.$case === "goodbye") this.tell(goodbye(GoodbyeReason.BYE));
    this.condition.changed();
    return true;
  }

  onDrain(): void {}

  halfClose(): void {
    this.#end("ended");
  }

  cancel(): void {
    this.#end("broken");
  }

  #end(how: "ended" | "broken"): void {
    this.#over ??= how;
    this.condition.changed();
  }

  #hear({ throughSeq, exceptions }: Ack): void {
    for (const exception of exceptions) this.#settle(exception.seq, answerOf(exception));
    for (const seq of this.unanswered.keys()) {
      if (seq <= throughSeq) this.#settle(seq, { status: "OK", after: 0, code: "", text: "" });
    }
    this.onAnswer();
  }

  #settle(seq: bigint, answer: TestAnswer): void {
    this.unanswered.get(seq)?.settle(answer);
    this.unanswered.delete(seq);
  }

  tell(message: SubscribeResponse["message"]): void {
    this.#messages.push(SubscribeResponse.decode(SubscribeResponse.encode({ message }).finish()));
    this.condition.changed();
  }

  deliver(owed: Owed, kind: BatchKind): void {
    this.#seq += 1n;
    this.unanswered.set(this.#seq, owed);
    this.tell({
      $case: "events",
      value: { firstSeq: this.#seq, kind, budgetMs: 30_000, events: [owed.event] },
    });
  }
}

function answerOf({ status, retryAfterMs, code, text }: AckException): TestAnswer {
  const statuses = Object.entries(AckStatus) as Array<[TestAnswer["status"], AckStatus]>;
  const [name = "OK"] = statuses.find(([, value]) => value === status) ?? [];
  return { status: name, after: retryAfterMs, code, text };
}

export function goodbye(reason: GoodbyeReason): SubscribeResponse["message"] {
  return { $case: "goodbye", value: { reason, reconnectAfterMs: 0, text: "" } };
}

/** What a dispatcher says first. */
export function welcome(ledgerId: string, stream: bigint, known: boolean): SubscribeResponse["message"] {
  const value = {
    ledgerId,
    dispatcherEpoch: 1,
    streamEpoch: (1n << 32n) + stream,
    known,
    endsOwed: 0n,
    startsToReplay: 0n,
    expired: undefined,
    grantedHooks: [],
    unknownHooks: [],
    filter: undefined,
    maxInFlight: 1_024,
    whenFull: WhenFull.DROP_OLDEST,
    retention: undefined,
    ackTimeoutMs: 30_000,
    drainBudgetMs: 2_000,
    maxMessageBytes: 4 << 20,
    serverVersion: "testing",
  };
  return { $case: "welcome", value };
}
