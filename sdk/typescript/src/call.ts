/** One call of Subscribe, over gRPC. */

import { Client, type ClientDuplexStream, credentials } from "@grpc/grpc-js";

import { targetOf } from "./address.js";
import { CHANNEL_OPTIONS } from "./channel.js";
import {
  HookServiceService,
  type SubscribeRequest,
  type SubscribeResponse,
} from "./gen/hookwire/v1/hook_service.js";

/** What the plugin says. */
export type Request = NonNullable<SubscribeRequest["message"]>;

/** What a stream needs of a transport. */
export interface Call {
  /**
   * The next message; `undefined` when the stream has ended as agreed.
   *
   * @throws A status, with `code` and `details`.
   */
  receive(): Promise<SubscribeResponse | undefined>;
  /** Sends a message; `false` when the transport would rather not have another one before `onDrain`. */
  send(message: Request): boolean;
  /** Called when the transport takes more again, or is over and takes anything. */
  onDrain(listener: () => void): void;
  /** Says that nothing more will be sent. */
  halfClose(): void;
  /** Lets go of everything. */
  cancel(): void;
}

/** Begins a call. It returns before anybody has answered. */
export type Dial = () => Call;

/**
 * How to reach a dispatcher.
 *
 * @throws InvalidAddress
 */
export function dial(address: string): Dial {
  const target = targetOf(address);
  return () => new GrpcCall(target);
}

const { path, requestSerialize, responseDeserialize } = HookServiceService.subscribe;

class GrpcCall implements Call {
  readonly #client: Client;
  readonly #stream: ClientDuplexStream<SubscribeRequest, Buffer>;
  readonly #incoming: AsyncIterator<Buffer>;
  #isOver = false;

  constructor(target: string) {
    this.#client = new Client(target, credentials.createInsecure(), CHANNEL_OPTIONS);
    // Decoded when they are received: of messages that wait, each with hundreds of events, gRPC's own queue would have
    // the garbage collector copy every object.
    this.#stream = this.#client.makeBidiStreamRequest(path, requestSerialize, (bytes) => bytes);
    this.#stream.on("error", () => {}); // receive() throws it; without a listener it would end the process
    this.#stream.on("status", () => {
      this.#isOver = true;
    });
    this.#incoming = this.#stream[Symbol.asyncIterator]();
  }

  async receive(): Promise<SubscribeResponse | undefined> {
    const { value, done } = await this.#incoming.next();
    return done ? undefined : responseDeserialize(value);
  }

  send(message: Request): boolean {
    return this.#isOver || this.#stream.write({ message });
  }

  onDrain(listener: () => void): void {
    this.#stream.on("drain", listener);
    this.#stream.on("status", listener);
  }

  halfClose(): void {
    this.#stream.end();
  }

  cancel(): void {
    this.#stream.cancel();
    this.#client.close();
  }
}
