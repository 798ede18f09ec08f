/** Where `run` has built or installed what takes part. */

import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const HERE = join(ROOT, "tests/openclaw/plugins");

export const HOOKWIRE = process.env["HOOKWIRE"] ?? join(ROOT, "target/release/hookwire");
export const OPENCLAW = join(ROOT, "target/openclaw/node_modules/openclaw/openclaw.mjs");
/** Its temporary directory, the same for all runs: what Node has compiled of it is kept there, and halves a boot. */
export const SCRATCH = join(ROOT, "target/openclaw/scratch");

/** The plugin that is tested. */
export const BRIDGE = join(ROOT, "bridges/openclaw");
/** The table that OpenClaw's own hooks make. */
export const GHOSTS = join(HERE, "ghosts");
/** What fires a thousand hooks a second. */
export const LOAD = join(HERE, "load");

/** The `session_table` of each SDK; the file of its table comes behind it. */
export const TABLES: Readonly<Record<string, readonly string[]>> = {
  python: [join(ROOT, "target/python/sdk/bin/python"), join(ROOT, "sdk/python/examples/session_table.py")],
  rust: [join(ROOT, "target/release/examples/session_table")],
  typescript: [process.execPath, join(ROOT, "sdk/typescript/build/examples/session_table.js")],
};
