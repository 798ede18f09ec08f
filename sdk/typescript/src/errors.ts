/** Why a plugin cannot go on. A lost connection is no reason: that one is dialled again. */

import { status } from "@grpc/grpc-js";

/** What {@link Plugin.run} gives up with. */
export abstract class HookwireError extends Error {
  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}

/** Nothing was subscribed to: `on()` was never called. */
export class NoHandler extends HookwireError {
  constructor() {
    super("no handler: call on() at least once");
  }
}

/** A text that is no address. */
export class InvalidAddress extends HookwireError {
  constructor(readonly address: string) {
    super(`${JSON.stringify(address)} is no address: write host:port, [v6]:port or unix:/path`);
  }
}

/** The dispatcher does not want this plugin as it is; asking again with the same words would not help. */
export class Refused extends HookwireError {
  constructor(
    /** The gRPC status, such as `INVALID_ARGUMENT`. */
    readonly status: string,
    /** The dispatcher's own words. */
    readonly text: string,
  ) {
    super(`refused by the dispatcher: ${status}: ${text}`);
  }
}

/** Another process runs under this plugin's name now. Coming back would displace it in turn. */
export class Displaced extends HookwireError {
  constructor(
    /** The dispatcher's own words, often empty. */
    readonly text: string,
  ) {
    super(`displaced by another process of the same name${text === "" ? "" : `: ${text}`}`);
  }
}

/** How a process ends that was refused or displaced. */
const EX_PROTOCOL = 76;

/**
 * The end of a program whose plugin cannot go on: `await plugin.run().catch(leave)`. Being displaced or refused is
 * one line on stderr and exit code 76; so is a wrong address, with exit code 1. Any other error is thrown on.
 */
export function leave(error: unknown): void {
  const said = error instanceof Displaced || error instanceof Refused;
  if (!said && !(error instanceof InvalidAddress)) throw error;
  console.error(`hookwire: ${error.message}`);
  process.exitCode = said ? EX_PROTOCOL : 1;
}

/** Statuses with which a dispatcher understood, and said no. Any other is one of a transport, or of nobody there. */
const REFUSALS: ReadonlySet<number> = new Set([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.PERMISSION_DENIED,
  status.FAILED_PRECONDITION,
  status.OUT_OF_RANGE, // larger than a message may be
  status.UNIMPLEMENTED,
  status.UNAUTHENTICATED,
]);

/** The error that a stream's status stands for; `undefined` where it is worth dialling again. */
export function refusal(code: number, details: string): HookwireError | undefined {
  // This instance was displaced before, and the one that displaced it is connected.
  if (code === status.ALREADY_EXISTS) return new Displaced(details);
  return REFUSALS.has(code) ? new Refused(status[code] ?? String(code), details) : undefined;
}
