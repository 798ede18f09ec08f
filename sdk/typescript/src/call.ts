/** One call of Subscribe, over gRPC. */

import { type ChannelOptions, Client, type ClientDuplexStream, credentials } from "@grpc/grpc-js";

import { targetOf } from "./address.js";
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

/** The largest message that is taken in, in bytes: an operator may have raised what a dispatcher sends. */
const MAX_MESSAGE_BYTES = 64 << 20;

const OPTIONS: ChannelOptions = {
  // Notices a dispatcher that is gone without a word, also while nothing happens.
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.keepalive_permit_without_calls": 1,
  // Over a Unix socket it would be the socket's path, which no HTTP/2 server takes.
  "grpc.default_authority": "localhost",
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  // The stock 64 KiB are one batch: the dispatcher would wait for us after each.
  "grpc-node.flow_control_window": 1 << 20,
  // One call, one connection, and a backoff of our own.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_retries": 0,
  "grpc.service_config_disable_resolution": 1,
  // A dispatcher is on this machine or next to it.
  "grpc.enable_http_proxy": 0,
};

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
    this.#client = new Client(target, credentials.createInsecure(), OPTIONS);
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
