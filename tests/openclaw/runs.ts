/** The runs: what is done to a gateway and to what is around it, and what has to be in the tables then. */

import { leaks } from "./canary.ts";
import type { Table } from "./dispatcher.ts";
import { Ground, type Wanted } from "./ground.ts";
import { change, goOn, KILLED, type Life, open, RESTARTED } from "./life.ts";
import { Late, until } from "./process.ts";
import { active, faults, type Row, rowsOf } from "./tables.ts";

export interface Run extends Wanted {
  readonly says: string;
  /** Lives the run, to the gateway's exit; gives the plugins that were not there for all of it. */
  live(ground: Ground): Promise<readonly Table[]>;
  readonly lives: readonly Life[];
  /** How many sessions OpenClaw alone leaves active, at least. */
  readonly ghosts: number;
}

export interface Result {
  readonly run: Run;
  readonly seconds: number;
  /** By plugin: how many lives it saw, and how many of them are active. */
  readonly tables: ReadonlyMap<string, { readonly lives: number; readonly active: number }>;
  readonly ghosts: readonly Row[];
  readonly faults: readonly string[];
}

/** How long a table may take to become what it has to be, once the gateway is gone. */
const SETTLED_SECONDS = 30;

const hello = ({ canaries }: Ground) => `Please remember ${canaries.body}.`;

async function upToTheRestart(ground: Ground): Promise<void> {
  await open(ground.gateway, hello(ground));
  await change(ground.gateway, hello(ground));
}

async function fromTheRestart(ground: Ground): Promise<void> {
  await ground.gateway.restart();
  await goOn(ground.gateway, hello(ground));
  await ground.gateway.end("SIGTERM");
}

export const RUNS: readonly Run[] = [
  {
    name: "restart",
    says: "restarted, then stopped",
    tapped: true,
    lives: RESTARTED,
    ghosts: 1,
    async live(ground) {
      await upToTheRestart(ground);
      await fromTheRestart(ground);
      return [];
    },
  },
  {
    name: "kill",
    says: "killed with SIGKILL",
    flags: ["--gateway-grace", "3s"],
    lives: KILLED,
    ghosts: KILLED.filter(({ reason }) => reason === "LOST").length,
    async live(ground) {
      await upToTheRestart(ground);
      await ground.gateway.end("SIGKILL");
      return [];
    },
  },
  {
    name: "hang",
    says: "a plugin hangs",
    lives: RESTARTED,
    ghosts: 1,
    async live(ground) {
      const hung = await ground.add("hung", "python");
      await open(ground.gateway, hello(ground));
      await until(
        "the one that will hang has sessions open",
        SETTLED_SECONDS,
        () => active(rowsOf(hung.file)).length >= 5,
      );
      hung.process.signal("SIGSTOP");
      await change(ground.gateway, hello(ground));
      await fromTheRestart(ground);
      hung.process.signal("SIGCONT");
      return [hung];
    },
  },
  {
    name: "dispatcher",
    says: "the dispatcher is killed and started again",
    lives: RESTARTED,
    ghosts: 1,
    async live(ground) {
      await open(ground.gateway, hello(ground));
      await ground.dispatcher.end("SIGKILL");
      await change(ground.gateway, hello(ground));
      await ground.dispatcher.start();
      await until("the gateway is attached again", SETTLED_SECONDS, async () => {
        const { gateways } = await ground.dispatcher.status();
        return gateways.some(({ streams }) => streams > 0);
      });
      await fromTheRestart(ground);
      return [];
    },
  },
];

export async function play(run: Run): Promise<Result> {
  const began = performance.now();
  const ground = await Ground.lay(run);
  try {
    const partly = await run.live(ground);
    const check = (table: Table) => faults(table, run.lives, !partly.includes(table));
    const right = () => ground.tables.every((table) => check(table).length === 0);
    await until("the tables are settled", SETTLED_SECONDS, right).catch((error) => {
      if (!(error instanceof Late)) throw error; // what is wrong with them is said below
    });
    const ghosts = active(rowsOf(ground.ghosts));
    const found = ground.tables.flatMap((table) => check(table).map((fault) => `${table.name}: ${fault}`));
    found.push(...leaks(ground.canaries, ground.outside));
    if (ghosts.length < run.ghosts) {
      found.push(`OpenClaw alone leaves ${ghosts.length} active, not ${run.ghosts}: what is there to show?`);
    }
    return {
      run,
      seconds: Math.round((performance.now() - began) / 1000),
      tables: new Map(ground.tables.map(({ name, file }) => [name, count(rowsOf(file))])),
      ghosts,
      faults: found.length > 0 ? [...found, `all of it is in ${ground.outside}`] : [],
    };
  } finally {
    await ground.clear();
  }
}

function count(rows: readonly Row[]): { lives: number; active: number } {
  return { lives: rows.length, active: active(rows).length };
}
