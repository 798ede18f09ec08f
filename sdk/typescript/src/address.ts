/** Where a dispatcher listens. */

import { InvalidAddress } from "./errors.js";

/** The environment variable that names the dispatcher's address. */
export const ADDRESS_VARIABLE = "HOOKWIRE_ADDR";

/** Where a dispatcher listens when nobody says otherwise. */
export const DEFAULT_ADDRESS = "127.0.0.1:7400";

/** What gRPC dials: a name for DNS, or a socket's path. */
export type Target = `dns:${string}` | `unix:${string}`;

/**
 * Reads an address: `host:port`, `[v6]:port` or `unix:/path`.
 *
 * @throws {@link InvalidAddress} for anything else.
 */
export function targetOf(address: string): Target {
  if (address.startsWith("unix:") && address.length > "unix:".length) return address as Target;
  const { host, port } = /^(?<host>\[[^\]/]+\]|[^:/]+):(?<port>\d{1,5})$/.exec(address)?.groups ?? {};
  if (host === undefined || Number(port) > 65_535) throw new InvalidAddress(address);
  return `dns:${address}`;
}

/** What was given, else what the environment says, else the default. */
export function chosenAddress(given: string | undefined): string {
  return given ?? process.env[ADDRESS_VARIABLE] ?? DEFAULT_ADDRESS;
}
