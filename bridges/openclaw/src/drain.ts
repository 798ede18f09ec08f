/** The end of a boot: the dispatcher decides all ends, and delivers them whether or not this gateway still lives. */

import { StopReason } from "../../../sdk/typescript/src/gen/hookwire/v1/event.js";
import type {
  DrainReport,
  DrainRequest,
} from "../../../sdk/typescript/src/gen/hookwire/v1/gateway_service.js";
import { within } from "../../../sdk/typescript/src/wait.js";
import type { Stream } from "./stream.js";

/** When OpenClaw says that it is back after a restart, in milliseconds. */
const RESTART_EXPECTED = 1_500;

/** How long the call itself may live, in milliseconds: nobody waits so long. */
const LONGEST = 60_000;

/**
 * Has a boot drained, and says how that went.
 *
 * @param decideWithin How long the dispatcher may take to decide the ends, in milliseconds.
 * @param reportWithin How long its plugins may then take to answer, in milliseconds. What is not answered by then the
 * dispatcher sees to alone.
 */
export async function drained(
  stream: Stream,
  boot: Pick<DrainRequest, "gatewayId" | "bootId" | "reason">,
  decideWithin: number,
  reportWithin: number,
): Promise<string> {
  const restartExpectedMs = boot.reason === StopReason.RESTART ? RESTART_EXPECTED : 0;
  const request: DrainRequest = { ...boot, restartExpectedMs, budgetMs: undefined };
  let report = (_: string) => {};
  const reported = new Promise<string>((resolve) => {
    report = resolve;
  });
  const decided = new Promise<true>((resolve) => {
    stream.drain(request, LONGEST, {
      decided: () => resolve(true),
      report: (said) => report(inWords(said)),
      failed: (why) => {
        report(`not drained: ${why}`);
        resolve(true);
      },
    });
  });
  if ((await within(decideWithin, decided)) === undefined)
    return "the dispatcher does not answer to the drain";
  return (await within(reportWithin, reported)) ?? "draining: the dispatcher goes on without this gateway";
}

function inWords({ sessionsEnded, elapsedMs, subscribers }: DrainReport): string {
  const sum = (of: (subscriber: DrainReport["subscribers"][number]) => bigint) =>
    subscribers.reduce((total, subscriber) => total + of(subscriber), 0n);
  const [owed, carried] = [sum(({ owed }) => owed), sum(({ carriedOver }) => carriedOver)];
  return `drained in ${elapsedMs} ms: ${sessionsEnded} sessions that were left open ended, ${owed} ends owed, ${carried} carried over`;
}
