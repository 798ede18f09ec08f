/** Runs the README, as a new user would, as far as that goes without OpenClaw. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { promisify } from "node:util";

import { folder, HOOKWIRE, PATIENCE, Process } from "../../../sdk/typescript/test/cast.js";
import { DEFAULTS, settingsOf } from "../src/settings.js";
import { Gateway, lives, PACKAGE, PROJECT, Tail, until } from "./openclaw.js";

const README = readFileSync(join(PACKAGE, "README.md"), "utf8");

/** The code block behind this word: its language, and what it is called where there are several. */
function block(called: string): string {
  const [, code] = new RegExp(`^\`\`\`${called}\\n(.*?)^\`\`\`$`, "ms").exec(README) ?? [];
  assert.ok(code, called);
  return code;
}

/** A user's folder, with `hookwire` on the path. */
class User {
  readonly home: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(private readonly t: TestContext) {
    this.home = folder(t);
    const bin = join(this.home, "bin");
    mkdirSync(bin);
    symlinkSync(HOOKWIRE, join(bin, "hookwire"));
    this.#env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, HOOKWIRE_LOG: "warn" };
  }

  async run(script: string, env: NodeJS.ProcessEnv = {}): Promise<void> {
    const options = { cwd: this.home, env: { ...this.#env, ...env }, timeout: PATIENCE };
    await promisify(execFile)("bash", ["-c", `set -eu\n${script}`], options);
  }

  begin(script: string, env: NodeJS.ProcessEnv): Process {
    return new Process(this.t, "bash", ["-c", `exec ${script}`], { ...this.#env, ...env });
  }
}

describe("the README", () => {
  it("makes a package that stands alone", async (t) => {
    const user = new User(t);
    const skipped = ["node_modules", "build", "dist"];
    for (const part of ["bridges/openclaw", "sdk/typescript"]) {
      const filter = (path: string) => !skipped.includes(basename(path));
      cpSync(join(PROJECT, part), join(user.home, "path/to/hookwire", part), { recursive: true, filter });
    }
    await user.run(block("sh"));
    const packed = join(user.home, "path/to/hookwire/bridges/openclaw/hookwire-openclaw-0.1.0.tgz");
    assert.ok(block("sh openclaw").includes(basename(packed)));
    await user.run(`tar xzf ${packed}`);
    for (const file of ["dist/index.js", "dist/LICENSES.txt", "openclaw.plugin.json", "README.md"]) {
      assert.ok(existsSync(join(user.home, "package", file)), file);
    }
    const { default: plugin } = await import(join(user.home, "package/dist/index.js"));
    assert.equal(plugin.id, JSON.parse(readFileSync(join(PACKAGE, "openclaw.plugin.json"), "utf8")).id);
  });

  it("shows a config that starts a dispatcher, and a plugin that sees the ends", async (t) => {
    const user = new User(t);
    const { enabled, hooks, config } = JSON.parse(block("json")).plugins.entries.hookwire;
    assert.deepEqual(
      [enabled, hooks, settingsOf(config).spawn],
      [true, { allowConversationAccess: true }, true],
    );
    const stateDir = join(user.home, ".openclaw");
    const gateway = await Gateway.boot(t, { ...config, command: HOOKWIRE }, stateDir);
    await until(() => gateway.said(/hookwire: attached/) === 1);
    const tail = user.begin(block("sh tail"), { HOME: user.home });
    const other = await new Tail(t, `unix:${join(stateDir, "hookwire/hookwire.sock")}`, "other").ready();
    await until(() => tail.stderr.length + tail.stdout.length > 0);
    gateway.fire("session_start", { sessionId: "a" });
    await other.sees((seen) => lives(seen).length === 1);
    await gateway.stop("shutdown");
    await until(() => tail.stdout.some((line) => line.includes("session_end")));
  });

  it("starts a dispatcher apart", async (t) => {
    const [command = "", address = ""] = block("sh serve").split(" --listen ");
    assert.equal(settingsOf({}).address, address.trim());
    const serve = new User(t).begin(`${command} --listen 127.0.0.1:0 --in-memory`, {});
    await serve.lines("{");
  });

  it("has the settings of the manifest, word for word", () => {
    const { properties } = JSON.parse(
      readFileSync(join(PACKAGE, "openclaw.plugin.json"), "utf8"),
    ).configSchema;
    for (const [name, { description, default: standard }] of Object.entries<Record<string, unknown>>(
      properties,
    )) {
      const shown = standard === undefined ? "" : `\`${JSON.stringify(standard)}\``;
      assert.ok(README.includes(`| \`${name}\` | ${shown}${shown && " "}| ${description} |`), name);
    }
    assert.equal(Object.keys(properties).length, Object.keys(DEFAULTS).length + 1);
  });

  it("names every file that it links to", () => {
    for (const [, path = ""] of README.matchAll(/\]\((?!https:)([^)]+)\)/g)) {
      assert.ok(existsSync(join(PACKAGE, path)), path);
    }
  });
});
