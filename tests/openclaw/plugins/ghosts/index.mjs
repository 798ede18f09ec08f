/**
 * OpenClaw alone: an in-process plugin that keeps the table that `session_table` keeps, from OpenClaw's own hooks. It is as
 * careful as one can be in there: any hook that names a session shows that it lives, but what ended in this boot stays ended
 * until its own start. What is active in its table when the process is gone is a ghost.
 */

import { DatabaseSync } from "node:sqlite";

const HOOKS = [
  ...["session_start", "session_end", "gateway_start", "before_reset", "before_agent_reply", "before_model_resolve"],
  ...["before_prompt_build", "model_call_started", "model_call_ended", "llm_input", "llm_output", "agent_end"],
];

/** The module is evaluated more than once in one process: what belongs to the process hangs here. */
const STATE = Symbol.for("hookwire.tests.ghosts");

function open(file) {
  const table = new DatabaseSync(file);
  table.exec(`
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS sessions (id TEXT, key TEXT, status TEXT, reason TEXT);
    CREATE TABLE IF NOT EXISTS within_reach (hook TEXT PRIMARY KEY)`);
  return {
    ended: new Set(),
    start: table.prepare(`
      INSERT INTO sessions SELECT ?1, ?2, 'active', NULL
       WHERE NOT EXISTS (SELECT 1 FROM sessions WHERE id = ?1 AND status = 'active')`),
    end: table.prepare("UPDATE sessions SET status = 'ended', reason = ?2 WHERE id = ?1 AND status = 'active'"),
    reached: table.prepare("INSERT OR IGNORE INTO within_reach VALUES (?)"),
  };
}

function take(state, hook, event, ctx) {
  const id = event.sessionId ?? ctx.sessionId;
  const key = event.sessionKey ?? ctx.sessionKey ?? "";
  if (hook === "gateway_start") {
    state.ended.clear();
  } else if (hook === "session_end") {
    state.end.run(id, event.reason ?? "unknown");
    state.ended.add(id);
  } else if (id !== undefined && (hook === "session_start" || !state.ended.has(id))) {
    state.ended.delete(id);
    state.start.run(id, key);
  }
}

export default {
  id: "ghosts",
  name: "Ghosts",
  description: "Keeps a table of sessions inside the gateway",
  register(api) {
    const { table, canary } = api.pluginConfig;
    globalThis[STATE] ??= open(table);
    const state = globalThis[STATE];
    for (const hook of HOOKS) {
      api.on(hook, (event, ctx) => {
        take(state, hook, event, ctx);
        if (JSON.stringify(ctx.config ?? null).includes(canary)) state.reached.run(hook);
      });
    }
  },
};
