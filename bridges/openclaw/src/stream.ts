/** One Attach stream, from its Hello to its loss, and the Drain call beside it. */

import { BinaryWriter } from "@bufbuild/protobuf/wire";
import {
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  connectivityState,
  credentials,
  status,
} from "@grpc/grpc-js";

import { CHANNEL_OPTIONS } from "../../../sdk/typescript/src/channel.js";
import { refusal } from "../../../sdk/typescript/src/errors.js";
import {
  AttachRequest,
  type AttachResponse,
  type DrainReport,
  type DrainRequest,
  type DrainResponse,
  GatewayServiceService,
  type AttachResponse_Goodbye as Goodbye,
  type AttachRequest_Hello as Hello,
  type Receipt,
  type AttachResponse_Welcome as Welcome,
} from "../../../sdk/typescript/src/gen/hookwire/v1/gateway_service.js";
import { GoodbyeReason } from "../../../sdk/typescript/src/gen/hookwire/v1/hook_service.js";
import type { Batch } from "./queue.js";

/** How long dialling, Hello and Welcome may take together, in milliseconds. */
const HANDSHAKE = 10_000;

/** Why a stream is over. */
export interface Lost {
  readonly why: string;
  /** Do not come back before, in milliseconds. */
  readonly wait: number;
  /** Coming back would not help. */
  readonly forGood: boolean;
  /** Coming back as another boot would. */
  readonly bootOver?: boolean;
}

/** What a stream tells. After `lost` it tells nothing more. */
export interface Listener {
  /** Somebody is there: Hello is to be said. */
  ready(): void;
  welcome(welcome: Welcome): void;
  receipt(receipt: Receipt): void;
  /** The transport takes more again. */
  room(): void;
  lost(lost: Lost): void;
}

/** How a drain is going. */
export interface DrainListener {
  /** Every end is decided, and will be delivered whatever becomes of this gateway. */
  decided(): void;
  report(report: DrainReport): void;
  failed(why: string): void;
}

const { path: attachPath, responseDeserialize } = GatewayServiceService.attach;
const drainCall = GatewayServiceService.drain;

/** A connection, with one Attach stream on it. */
export class Stream {
  readonly #client: Client;
  readonly #stream: ClientDuplexStream<Uint8Array, AttachResponse>;
  #handshake: NodeJS.Timeout | undefined;
  #drain: ClientReadableStream<DrainResponse> | undefined;
  #isOver = false;

  /** @param target As gRPC names it. */
  constructor(
    target: string,
    private readonly listener: Listener,
  ) {
    this.#client = new Client(target, credentials.createInsecure(), CHANNEL_OPTIONS);
    const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#stream = this.#client.makeBidiStreamRequest(attachPath, asBuffer, responseDeserialize);
    this.#stream.on("data", (response: AttachResponse) => this.#take(response));
    this.#stream.on("drain", () => this.#isOver || listener.room());
    this.#stream.on("end", () => this.#lose({ why: "closed without a goodbye", wait: 0, forGood: false }));
    this.#stream.on("error", (error) => this.#lose(lostBy(error)));
    this.#handshake = setTimeout(
      () => this.#lose({ why: "no Welcome came", wait: 0, forGood: false }),
      HANDSHAKE,
    );
    this.#handshake.unref();
    setImmediate(() => this.#whenReady());
  }

  /** Says who attaches, and nothing comes before it. */
  hello(hello: Hello): void {
    this.#stream.write(AttachRequest.encode({ message: { $case: "hello", value: hello } }).finish());
  }

  /** Sends a batch; `false` when the transport would rather not have another one before `room`. */
  send(batch: Batch): boolean {
    return this.#stream.write(encoded(batch));
  }

  /** Asks the dispatcher to end the boot. The answers are read as long as the connection is open. */
  drain(request: DrainRequest, within: number, listener: DrainListener): void {
    const { path, requestSerialize, responseDeserialize } = drainCall;
    const options = { deadline: Date.now() + within };
    const answers = this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      options,
    );
    answers.on("data", ({ message }: DrainResponse) => {
      listener.decided();
      if (message?.$case === "report") listener.report(message.value);
    });
    answers.on("end", () => listener.failed("the drain ended without a report"));
    answers.on("error", (error) => listener.failed(error.message));
    this.#drain = answers;
  }

  /** Says that nothing more will be sent, and lets go of everything. */
  close(): void {
    this.#isOver = true;
    clearTimeout(this.#handshake);
    this.#stream.end();
    this.#stream.cancel();
    this.#drain?.cancel(); // the dispatcher goes on with it
    this.#client.close();
  }

  /** A Hello may be long: none is made for a dispatcher that is away. */
  #whenReady(): void {
    if (this.#isOver) return;
    const channel = this.#client.getChannel();
    const state = channel.getConnectivityState(true);
    if (state === connectivityState.READY) this.listener.ready();
    else channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => this.#whenReady());
  }

  #take({ message }: AttachResponse): void {
    if (this.#isOver) return;
    switch (message?.$case) {
      case "welcome":
        clearTimeout(this.#handshake);
        this.listener.welcome(message.value);
        break;
      case "receipt":
        this.listener.receipt(message.value);
        break;
      case "goodbye":
        this.#lose(lostByGoodbye(message.value));
        break;
      default: // what only a newer dispatcher says
    }
  }

  #lose(lost: Lost): void {
    if (this.#isOver) return;
    this.close();
    this.listener.lost(lost);
  }
}

function lostBy(error: Error): Lost {
  const { code, details } = error as { code?: number; details?: string };
  const final = refusal(code ?? -1, details ?? "");
  const bootOver = code === status.FAILED_PRECONDITION;
  return { why: final?.message ?? error.message, wait: 0, forGood: final !== undefined, bootOver };
}

function lostByGoodbye({ reason, text, reconnectAfterMs }: Goodbye): Lost {
  const forGood = reason === GoodbyeReason.DISPLACED;
  const why = forGood ? `displaced by a newer boot under the same gateway id: ${text}` : `${reason} ${text}`;
  return { why: why.trimEnd(), wait: reconnectAfterMs, forGood };
}

/** An AttachRequest with a Publish, of events that are encoded already. */
function encoded({ firstSeq, events }: Batch): Uint8Array {
  const publish = new BinaryWriter().uint32(8).uint64(firstSeq);
  for (const event of events) publish.uint32(18).bytes(event);
  return new BinaryWriter().uint32(18).bytes(publish.finish()).finish();
}
