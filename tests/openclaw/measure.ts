/** `just openclaw --measure`: what the bridge costs a gateway, at its stop and at each hook. */

import { existsSync, readFileSync } from "node:fs";

import { Ground, type Wanted } from "./ground.ts";
import { open } from "./life.ts";
import { until } from "./process.ts";

const ROUNDS = 5;
const HOOKS_A_SECOND = 1000;
const LOAD_SECONDS = 20;
/** What the stop may take longer: a tenth, and this. */
const SLACK_MS = 200;
/** What a hook may take longer, in the 99th of a hundred. */
const ADDED_MS = 1;

interface Stop extends Wanted {
  readonly says: string;
  readonly dead?: boolean;
}

const STOPS: readonly Stop[] = [
  { name: "without", says: "without the bridge", bridge: "none" },
  { name: "with", says: "with the bridge" },
  { name: "never", says: "a plugin never answers", listener: "never" },
  { name: "dead", says: "the dispatcher is dead", dead: true },
];

const MEASURES = { hooks: measureHooks, stops: measureStops };

/** What can be measured. */
export const MEASURED = Object.keys(MEASURES);

/** Measures these, or both, and prints them; whether they are within what they may be. */
export async function measure(names: readonly string[]): Promise<boolean> {
  let within = true;
  for (const [name, run] of Object.entries(MEASURES)) {
    if (names.length === 0 || names.includes(name)) within = (await run()) && within;
  }
  return within;
}

/** SIGTERM to exit, of gateways that each have five conversations: the median of some rounds, one after the other. */
async function measureStops(): Promise<boolean> {
  const times = new Map<string, number[]>(STOPS.map(({ name }) => [name, []]));
  for (let round = 1; round <= ROUNDS; round += 1) {
    console.error(`stops, round ${round} of ${ROUNDS} …`);
    for (const stop of STOPS) times.get(stop.name)?.push(await timeOfStop(stop));
  }
  const alone = quantile(times.get("without") ?? [], 0.5);
  const most = alone * 1.1 + SLACK_MS;
  console.log(`\nSIGTERM to exit, ms (at most ${most.toFixed(0)} by 10 % + ${SLACK_MS} ms)`);
  const within = STOPS.map(({ name, says }) => {
    const each = times.get(name) ?? [];
    const median = quantile(each, 0.5);
    console.log(`  ${says.padEnd(24)} median ${median.toFixed(0)}  of ${each.map((ms) => ms.toFixed(0)).join(" ")}`);
    return median <= most;
  });
  return within.every(Boolean);
}

async function timeOfStop(stop: Stop): Promise<number> {
  return on(stop, async (ground) => {
    await open(ground.gateway, "Hello.");
    if (stop.dead) await ground.dispatcher.end("SIGKILL");
    return ground.gateway.end("SIGTERM");
  });
}

/** A call of the gateway's hook runner, from the call to its return, with the bridge and without. */
async function measureHooks(): Promise<boolean> {
  console.log(`a hook's return inside the gateway at ${HOOKS_A_SECOND} hooks a second, ms`);
  const alone = await timeOfHooks("without the bridge", "none");
  const others = [
    await timeOfHooks("with the bridge", {}),
    await timeOfHooks("with the bridge, all of the content", { content: "full" }),
  ];
  const added = others.map((p99) => p99 - alone);
  console.log(`  added at p99: ${added.map((ms) => ms.toFixed(3)).join(" and ")} (at most ${ADDED_MS})`);
  return added.every((ms) => ms < ADDED_MS);
}

/** The 99th of a hundred. Throws where not all of the hooks have reached a plugin: what was not sent costs nothing. */
async function timeOfHooks(says: string, bridge: Exclude<Wanted["bridge"], undefined>): Promise<number> {
  const load = { rate: HOOKS_A_SECOND, seconds: LOAD_SECONDS };
  return on({ name: "hooks", bridge, load }, async (ground) => {
    await until("the load is over", LOAD_SECONDS * 3, () => existsSync(ground.loadReport));
    const { rate, times } = JSON.parse(readFileSync(ground.loadReport, "utf8"));
    if (bridge !== "none")
      await until("all of it has arrived", LOAD_SECONDS, () => ground.arrived("agent:main:load:") === times.length);
    if (rate < HOOKS_A_SECOND * 0.99) throw new Error(`only ${rate.toFixed(0)} hooks a second were fired`);
    const at = (share: number) => quantile(times, share).toFixed(3);
    console.log(`  ${says.padEnd(36)} p50 ${at(0.5)}  p99 ${at(0.99)}  max ${at(1)}  at ${rate.toFixed(0)} a second`);
    return quantile(times, 0.99);
  });
}

/** Does this on a ground of its own, which is cleared in any case. */
async function on<T>(wanted: Wanted, act: (ground: Ground) => Promise<T>): Promise<T> {
  const ground = new Ground(wanted);
  try {
    await ground.start();
    return await act(ground);
  } finally {
    await ground.clear();
    ground.forget();
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
