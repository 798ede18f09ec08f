/** What the bridge knows of hooks agrees with what the project knows of them. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { CTX_FIELDS, HOOKS, observed } from "../src/hooks.js";
import { DEFAULTS, settingsOf } from "../src/settings.js";
import { PACKAGE, PROJECT } from "./openclaw.js";

interface Entry {
  readonly typed?: boolean;
  readonly fields: Record<string, string>;
}

const CATALOGUE: Record<string, Entry> = JSON.parse(
  readFileSync(join(PROJECT, "dispatcher/src/fanout/catalogue.json"), "utf8"),
);

/** OpenClaw 2026.9 knows no such hook, and warns of whoever registers for it. */
const GONE = "before_agent_start";

const MANIFEST = JSON.parse(readFileSync(join(PACKAGE, "openclaw.plugin.json"), "utf8"));

describe("the hooks", () => {
  it("are those of the catalogue", () => {
    const catalogued = Object.keys(CATALOGUE).filter((hook) => hook !== GONE);
    assert.deepEqual(Object.keys(HOOKS).sort(), catalogued.sort());
  });

  it("have at least the fields that the catalogue gives them", () => {
    for (const [hook, { typed, fields }] of Object.entries(CATALOGUE)) {
      if (typed === true || hook === GONE) continue; // the wire has its own words for those
      const missing = Object.keys(fields).filter((field) => !Object.hasOwn(HOOKS[hook] ?? {}, field));
      assert.deepEqual(missing, [], hook);
    }
  });

  it("leave no more of ctx than hookwire publish does", () => {
    const source = readFileSync(join(PROJECT, "dispatcher/src/cli/publish/openclaw.rs"), "utf8");
    const [, list = ""] = /const CTX_FIELDS: [^=]*= \[(.*?)\];/s.exec(source) ?? [];
    assert.deepEqual(
      [...list.matchAll(/"(\w+)"/g)].map(([, field]) => field),
      [...CTX_FIELDS],
    );
  });
});

describe("what is observed", () => {
  it("is everything but what is skipped, and what starts and ends is never skipped", () => {
    assert.deepEqual(observed([]), Object.keys(HOOKS));
    const some = observed(["llm_input", "session_end", "gateway_stop"]);
    assert.deepEqual(
      Object.keys(HOOKS).filter((hook) => !some.includes(hook)),
      ["llm_input"],
    );
    for (const hook of DEFAULTS.skip) assert.ok(Object.hasOwn(HOOKS, hook), hook);
  });
});

describe("the settings", () => {
  it("are those of the manifest, with the same defaults", () => {
    const properties: Record<string, { default?: unknown; description: string }> =
      MANIFEST.configSchema.properties;
    const { address, ...others } = properties;
    assert.ok(address);
    const defaults = Object.entries(others).map(([name, { default: standard }]) => [name, standard]);
    assert.deepEqual(Object.fromEntries(defaults), DEFAULTS);
  });

  it("are what is configured, where that fits", () => {
    const { address, content, queueEvents, spawn } = settingsOf({
      address: "unix:/run/hookwire.sock",
      content: "metadata",
      queueEvents: 5,
      spawn: "yes",
    });
    assert.deepEqual(
      [address, content, queueEvents, spawn],
      ["unix:/run/hookwire.sock", "metadata", 5, false],
    );
    assert.equal(settingsOf({ content: "everything" }).content, "none");
    assert.deepEqual(settingsOf({ skip: "llm_input" }).skip, DEFAULTS.skip);
    assert.equal(settingsOf({ stopWaitMs: -1 }).stopWaitMs, DEFAULTS.stopWaitMs);
  });
});

describe("the package", () => {
  it("has one version, and the SDK's versions of what both need", () => {
    const of = (path: string) => JSON.parse(readFileSync(join(PROJECT, path), "utf8"));
    const [bridge, sdk] = [of("bridges/openclaw/package.json"), of("sdk/typescript/package.json")];
    const version = readFileSync(join(PACKAGE, "src/version.ts"), "utf8");
    assert.ok(version.includes(`"${bridge.version}"`));
    const versions: Record<string, string> = { ...sdk.dependencies, ...sdk.devDependencies };
    for (const [name, ours] of Object.entries(bridge.devDependencies)) {
      assert.equal(ours, versions[name] ?? ours, name);
    }
  });
});
