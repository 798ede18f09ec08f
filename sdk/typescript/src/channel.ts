/** How a dispatcher is dialled. */

import type { ChannelOptions } from "@grpc/grpc-js";

/** The largest message that is taken in, in bytes: an operator may have raised what a dispatcher sends. */
const MAX_MESSAGE_BYTES = 64 << 20;

/** For one call on a connection of its own. */
export const CHANNEL_OPTIONS: ChannelOptions = {
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
