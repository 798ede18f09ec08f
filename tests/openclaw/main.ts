/** `just openclaw`: the runs, one after the other, and what they show side by side. */

import { parseArgs } from "node:util";

import { endAll } from "./process.ts";
import { play, RUNS } from "./runs.ts";
import { table } from "./show.ts";

const { values, positionals } = parseArgs({ options: { measure: { type: "boolean" } }, allowPositionals: true });

process.on("exit", endAll);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

const wanted = RUNS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
const results = [];
for (const run of wanted) {
  console.error(`${run.says} …`);
  results.push(await play(run));
}
console.log(table(results));
process.exit(results.some(({ faults }) => faults.length > 0) ? 1 : 0);
