/** Plays a run and judges what it leaves: in the tables, and of what must not leave the gateway. */

import { leaks } from "./canary.ts";
import type { Table } from "./dispatcher.ts";
import { Ground } from "./ground.ts";
import { Late, until } from "./process.ts";
import type { Run } from "./runs.ts";
import { active, configWithinReach, faults, type Row, rowsOf } from "./tables.ts";

export interface Result {
  readonly run: Run;
  readonly seconds: number;
  /** By plugin: how many lives it saw, and how many of them are active. */
  readonly tables: ReadonlyMap<string, { readonly lives: number; readonly active: number }>;
  /** What OpenClaw alone leaves active. */
  readonly ghosts: readonly Row[];
  readonly faults: readonly string[];
}

/** How long a table may take to become what it has to be, once the gateway is gone. */
const SETTLED_SECONDS = 30;

/** What goes wrong on the way is a fault of the result, too. What a run leaves on the disk is kept if there are any. */
export async function play(run: Run): Promise<Result> {
  const began = performance.now();
  const ground = new Ground(run);
  const wrong: string[] = [];
  try {
    await ground.start();
    await run.live(ground);
    wrong.push(...(await judge(run, ground)));
  } catch (error) {
    wrong.push(error instanceof Error ? error.message : String(error));
  }
  await ground.clear();
  const result = {
    run,
    seconds: Math.round((performance.now() - began) / 1000),
    tables: new Map(ground.tables.map(({ name, file }) => [name, count(rowsOf(file))])),
    ghosts: active(rowsOf(ground.ghosts)),
  };
  if (wrong.length === 0) ground.forget();
  else wrong.push(`all of it is in ${ground.directory}`);
  return { ...result, faults: wrong };
}

async function judge(run: Run, ground: Ground): Promise<string[]> {
  const unseen = (name: string) => run.unseen?.[name] ?? run.unseen?.["*"] ?? [];
  const check = (table: Table) => faults(table, run.lives, unseen(table.name));
  const right = () => ground.tables.every((table) => check(table).length === 0);
  await until("the tables are settled", SETTLED_SECONDS, right).catch((error) => {
    if (!(error instanceof Late)) throw error; // what is wrong with them is said below
  });
  const found = ground.tables.flatMap((table) => check(table).map((fault) => `${table.name}: ${fault}`));
  const alone = active(rowsOf(ground.ghosts)).length;
  if (alone < run.ghosts)
    found.push(`OpenClaw alone leaves ${alone} active, not ${run.ghosts}: what is there to show?`);
  return [...found, ...secrets(ground, run.tells ?? false)];
}

/** What left the gateway and must not have, or the other way round. */
function secrets({ canaries, outside, ghosts }: Ground, tells: boolean): string[] {
  const found = leaks(canaries, outside);
  const told = (file: string) => found.some((leak) => leak.of === "body" && leak.file === file);
  const faults = found
    .filter(({ of }) => of !== "body" || !tells)
    .map(({ of, file }) => `the ${of} has left the gateway: it is in ${file}`);
  for (const file of tells ? ["sent.bin", "listener.jsonl"] : []) {
    if (!told(file)) faults.push(`what was said is not in ${file}: the search for it finds nothing`);
  }
  if (!configWithinReach(ghosts)) faults.push("no hook has the config within reach: what is there to hold back?");
  return faults;
}

function count(rows: readonly Row[]): { lives: number; active: number } {
  return { lives: rows.length, active: active(rows).length };
}
