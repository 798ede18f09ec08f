/** The settings, as the manifest describes them. */

import { chosenAddress } from "../../../sdk/typescript/src/address.js";
import type { Content } from "./pick.js";

/** How the bridge behaves: the fields of the manifest's `configSchema`. */
export interface Settings {
  readonly address: string;
  readonly gatewayId: string;
  readonly content: Content;
  readonly skip: readonly string[];
  readonly spawn: boolean;
  readonly command: string;
  readonly sessionEndWaitMs: number;
  readonly stopWaitMs: number;
  readonly drainWaitMs: number;
  readonly queueEvents: number;
  readonly queueBytes: number;
}

/** What holds where nothing is configured; the address is found elsewhere. */
export const DEFAULTS: Omit<Settings, "address"> = {
  gatewayId: "openclaw",
  content: "none",
  skip: ["before_agent_finalize", "message_sending", "reply_payload_sending"],
  spawn: false,
  command: "hookwire",
  sessionEndWaitMs: 1_500,
  stopWaitMs: 1_000,
  drainWaitMs: 150,
  queueEvents: 8_192,
  queueBytes: 16_777_216,
};

/** Reads the plugin's config. OpenClaw has held it against the schema; what still does not fit counts as absent. */
export function settingsOf(config: Record<string, unknown> = {}): Settings {
  const fits = Object.entries(DEFAULTS).map(([name, standard]) => [name, fitting(config[name], standard)]);
  const { content, ...rest } = Object.fromEntries(fits) as Omit<Settings, "address">;
  const address = typeof config.address === "string" ? config.address : undefined;
  return { ...rest, content: isContent(content) ? content : "none", address: chosenAddress(address) };
}

function fitting<T>(given: unknown, standard: T): T {
  if (Array.isArray(given) !== Array.isArray(standard)) return standard;
  const fits =
    typeof given === typeof standard && given !== "" && !(typeof given === "number" && !(given >= 0));
  return fits ? (given as T) : standard;
}

function isContent(content: string): content is Content {
  return content === "none" || content === "metadata" || content === "full";
}
