/** The results as a table for people. */

import type { Result } from "./play.ts";

/** A line a run: how many of the lives that each has seen are still active in its table. */
export function table(results: readonly Result[]): string {
  const names = [...new Set(results.flatMap(({ tables }) => [...tables.keys()]))];
  const head = ["still active after", ...names, "OpenClaw alone", "seconds"];
  const lines = results.map(({ run, tables, ghosts, seconds }) => {
    const cells = names.map((name) => {
      const counts = tables.get(name);
      return counts ? `${counts.active} of ${counts.lives}` : "";
    });
    return [run.says, ...cells, String(ghosts.length), String(seconds)];
  });
  const widths = head.map((_, at) => Math.max(...[head, ...lines].map((line) => line[at]?.length ?? 0)));
  const pad = (line: readonly string[]) =>
    line
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd();
  const notes = results.flatMap(({ run, ghosts, faults }) => [
    ...ghosts.map(({ key }) => `  ${run.name}: OpenClaw alone leaves ${key}`),
    ...faults.map((fault) => `  ${run.name}: WRONG: ${fault}`),
  ]);
  return [head, ...lines].map(pad).concat("", notes).join("\n");
}
