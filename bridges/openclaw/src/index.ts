/** The plugin's entry: observes the hooks of the catalogue, in whichever copy of this module it fires. */

import { Bridge, type Run } from "./bridge.js";
import { observed } from "./hooks.js";
import type { Api, Service } from "./openclaw.js";
import { settingsOf } from "./settings.js";

/** Every evaluation of this module in a process finds the same bridge here. */
const PLACE = Symbol.for("hookwire.openclaw");

/** Ahead of the others: a hook that somebody claims or blocks is not shown to whoever comes later. */
const PRIORITY = 1_000;

/** How much longer than its own bound the gateway may wait for an observer, in milliseconds. */
const MARGIN = 250;

function theBridge(): Bridge {
  const places = globalThis as { [PLACE]?: Bridge };
  places[PLACE] ??= new Bridge();
  return places[PLACE];
}

/** OpenClaw's own word for a plugin. */
const plugin = {
  id: "hookwire",
  name: "Hookwire",
  description: "Forwards hooks to plugins in processes of their own, and has every session that starts end.",

  /** Called more than once in a process, also where nothing runs: nothing is opened here. */
  register(api: Api): void {
    const settings = settingsOf(api.pluginConfig);
    const runs = api.registrationMode === "full";
    theBridge().configure(settings, api.logger, runs);
    const options = { priority: PRIORITY, timeoutMs: settings.sessionEndWaitMs + MARGIN };
    for (const hook of observed(settings.skip)) {
      api.on(hook, (event, ctx) => theBridge().observe(hook, event, ctx), options);
    }
    if (runs) api.registerService(service());
  },
};

function service(): Service {
  let run: Run | undefined;
  return {
    id: "hookwire",
    start({ stateDir }) {
      run = theBridge().start(stateDir);
    },
    stop: () => theBridge().stop(run),
  };
}

export default plugin;
