/** Runs the README, as a new user would: every command, every program. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { promisify } from "node:util";

import { Dispatcher, folder, Gateway, HOOKWIRE, PACKAGE, PATIENCE, Process } from "./cast.js";

const README = readFileSync(join(PACKAGE, "README.md"), "utf8");

/** The code blocks of a language, in order. */
function blocks(language: string): string[] {
  return [...README.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, found, code]) =>
    found === language && code !== undefined ? [code] : [],
  );
}

/** A user's folder, with a checkout that was never built beside it. */
class User {
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;

  constructor(private readonly t: TestContext) {
    this.home = folder(t);
    const bin = join(this.home, "bin");
    mkdirSync(bin);
    symlinkSync(HOOKWIRE, join(bin, "hookwire"));
    // A port of its own: others may run tests on this machine.
    this.env = { PATH: `${bin}:${process.env.PATH}`, HOOKWIRE_LISTEN: "127.0.0.1:0", HOOKWIRE_LOG: "warn" };
    const checkout = join(this.home, "path/to/hookwire");
    const skip = new Set(["node_modules", "build"].map((name) => join(PACKAGE, name)));
    cpSync(PACKAGE, join(checkout, "sdk/typescript"), { recursive: true, filter: (path) => !skip.has(path) });
    cpSync(join(PACKAGE, "../../tests/data"), join(checkout, "tests/data"), { recursive: true });
  }

  /** A line as it stands in the README, with the folder that it means. */
  #line(line: string): string {
    return line.replaceAll("path/to", join(this.home, "path/to"));
  }

  async run(block: string, cwd = this.home): Promise<void> {
    const script = this.#line(`set -eu\n${block}`);
    const env = { ...process.env, ...this.env };
    await promisify(execFile)("bash", ["-c", script], { cwd, env, timeout: PATIENCE });
  }

  begin(block: string, cwd: string): Process {
    return new Process(this.t, "bash", ["-c", `cd ${cwd}; exec ${this.#line(block)}`], this.env);
  }
}

describe("the README", () => {
  it("leads to a first plugin", async (t) => {
    const user = new User(t);
    const [build, create, serve, run, publish, ...more] = blocks("sh");
    assert.ok(build && create && serve && run && publish);
    assert.deepEqual(more, [], "each block is run");
    await user.run(build);
    await user.run(create);
    const plugin = join(user.home, "my-plugin");
    const [hello = ""] = blocks("js");
    writeFileSync(join(plugin, "hello.mjs"), hello);

    const dispatcher = user.begin(serve, plugin);
    const [first = ""] = await dispatcher.lines("{");
    user.env.HOOKWIRE_ADDR = JSON.parse(first).listening[0];
    const process = user.begin(run, plugin);
    await process.lines("hookwire: welcome");
    await user.run(publish, plugin);
    await process.lines("session_end");
    process.kill("SIGTERM");
    await process.end(0);
  });

  it("has programs that compile, run, and answer", async (t) => {
    // Inside of the package, where its name and its dependencies are found.
    const programs = join(PACKAGE, "build/readme");
    mkdirSync(programs, { recursive: true });
    copyFileSync(join(PACKAGE, "examples/sqlite_store.ts"), join(programs, "sqlite_store.ts"));
    for (const [at, program] of blocks("ts").entries()) writeFileSync(join(programs, `${at}.ts`), program);
    const options = { extends: "../../tsconfig.json", compilerOptions: { rootDir: "../..", outDir: "out" } };
    writeFileSync(join(programs, "tsconfig.json"), JSON.stringify({ ...options, include: ["*.ts"] }));
    const tsc = join(PACKAGE, "node_modules/.bin/tsc");
    await promisify(execFile)(tsc, ["--project", programs], { timeout: PATIENCE });

    const home = folder(t);
    for (const [at, program] of blocks("ts").entries()) {
      const compiled = join(programs, "out/build/readme", `${at}.js`);
      const isTest = program.includes("node:test");
      await (isTest ? runTest(t, compiled) : runPlugin(t, compiled, program, home));
    }
  });

  it("names every file that it links to", () => {
    for (const [, path = ""] of README.matchAll(/\]\(([^)]+)\)/g)) {
      assert.ok(readFileSync(join(PACKAGE, path === "examples" ? "examples/hello.ts" : path)), path);
    }
  });
});

async function runTest(t: TestContext, compiled: string): Promise<void> {
  const test = new Process(t, process.execPath, ["--test", compiled], { NODE_TEST_CONTEXT: undefined });
  await test.end(0);
  await test.lines("# pass 1");
}

async function runPlugin(t: TestContext, compiled: string, program: string, home: string): Promise<void> {
  const [, name] = /new Plugin\("(\w+)"/.exec(program) ?? [];
  assert.ok(name, basename(compiled));
  const dispatcher = await Dispatcher.serve(t);
  const env = { HOOKWIRE_ADDR: dispatcher.address };
  const plugin = new Process(t, "bash", ["-c", `cd ${home}; exec ${process.execPath} ${compiled}`], env);
  await plugin.lines("hookwire: welcome");
  const gateway = new Gateway(t, dispatcher);
  gateway.start("s1");
  gateway.message("s1");
  gateway.end("s1", "idle");
  await dispatcher.subscriber(name, ({ acked }) => acked >= 2);
  plugin.kill("SIGTERM");
  await plugin.end(0);
  assert.ok(!plugin.stderr.some((line) => line.includes("a handler failed")), plugin.stderr.join("\n"));
  await dispatcher.stop();
}
