/** `just openclaw`: the runs, one after the other, and what they show side by side. */

import { join } from "node:path";
import { parseArgs } from "node:util";

import { MEASURED, measure } from "./measure.ts";
import { play } from "./play.ts";
import { endAll } from "./process.ts";
import { RUNS } from "./runs.ts";
import { table } from "./show.ts";

const { values, positionals } = parseArgs({
  options: { measure: { type: "boolean" }, record: { type: "string" } },
  allowPositionals: true,
});

process.on("exit", endAll);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

const known = values.measure ? MEASURED : RUNS.map(({ name }) => name);
for (const name of positionals.filter((name) => !known.includes(name))) {
  console.error(`there is no ${name}, but ${known.join(", ")}`);
  process.exit(64);
}
process.exit((await (values.measure ? measure(positionals) : played(positionals))) ? 0 : 1);

/** The runs of these names, or all; whether each has shown what it has to. */
async function played(names: readonly string[]): Promise<boolean> {
  const results = [];
  const { record } = values;
  for (const run of RUNS.filter(({ name }) => names.length === 0 || names.includes(name))) {
    console.error(`${run.says} …`);
    results.push(await play(record === undefined ? run : { ...run, record: join(record, `${run.name}.jsonl`) }));
  }
  console.log(table(results));
  return results.length > 0 && results.every(({ faults }) => faults.length === 0);
}
