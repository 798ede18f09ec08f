/** An OpenClaw gateway of its own: fresh state, loopback only, driven over its own WebSocket protocol. */

import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

import { Process, until } from "./process.ts";
import { OPENCLAW, SCRATCH } from "./programs.ts";
import { Rpc } from "./rpc.ts";

/** A plugin of the gateway: where it is, and what its entry in the config says. */
export interface InProcess {
  readonly id: string;
  readonly path: string;
  readonly config: Record<string, unknown>;
}

export interface Settings {
  /** Where it keeps its state, its logs and its work. */
  readonly directory: string;
  readonly modelUrl: string;
  /** The model's key, the gateway's own token, and the key of another provider. */
  readonly credential: string;
  readonly plugins: readonly InProcess[];
}

const BOOT_SECONDS = 120;
const RUN_SECONDS = 60;

export class Gateway {
  readonly log: string;
  #process: Process;
  #port: number;
  #token: string;
  #rpc: Rpc | undefined;

  private constructor(process: Process, log: string, port: number, token: string) {
    this.#process = process;
    this.log = log;
    this.#port = port;
    this.#token = token;
  }

  /** Boots one and waits until it takes calls. */
  static async boot(settings: Settings): Promise<Gateway> {
    const { directory, credential } = settings;
    const [home, log] = [join(directory, "home"), join(directory, "gateway.log")];
    for (const each of [home, SCRATCH]) mkdirSync(each, { recursive: true });
    const config = join(directory, "openclaw.json");
    writeFileSync(config, JSON.stringify(configOf(settings), null, 2));
    const port = await freePort();
    const process = new Process({
      name: "openclaw",
      command: [globalThis.process.execPath, OPENCLAW, "gateway", "run", "--port", String(port)],
      log,
      env: {
        PATH: globalThis.process.env["PATH"],
        HOME: home,
        TMPDIR: SCRATCH,
        OPENCLAW_STATE_DIR: join(directory, "state"),
        OPENCLAW_CONFIG_PATH: config,
        DO_NOT_TRACK: "1",
      },
    });
    const gateway = new Gateway(process, log, port, credential);
    try {
      await gateway.#ready();
    } catch (error) {
      await gateway.end("SIGKILL");
      throw error;
    }
    return gateway;
  }

  /** One turn of a conversation: it ends when the model's answer has been delivered. */
  async chat(sessionKey: string, message: string): Promise<void> {
    const idempotencyKey = crypto.randomUUID();
    const { runId } = await this.call<{ runId: string }>("chat.send", { sessionKey, message, idempotencyKey });
    const { status } = await this.call<{ status: string }>("agent.wait", { runId, timeoutMs: RUN_SECONDS * 1000 });
    if (status !== "ok") throw new Error(`the chat in ${sessionKey} ended as ${status}: see ${this.log}`);
  }

  async call<T = Record<string, unknown>>(method: string, params: object): Promise<T> {
    if (this.#rpc === undefined) throw new Error("the gateway is not connected");
    return this.#rpc.call<T>(method, params);
  }

  /** SIGUSR2: the same process boots again. */
  async restart(): Promise<void> {
    this.#process.signal("SIGUSR2");
    const old = this.#rpc;
    await until("the gateway closes for its restart", BOOT_SECONDS, () => old?.closed);
    await this.#ready();
  }

  /** Milliseconds from the signal to the exit. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<number> {
    return this.#process.end(signal, BOOT_SECONDS);
  }

  async #ready(): Promise<void> {
    this.#rpc = await until(`the gateway takes calls (${this.log})`, BOOT_SECONDS, () => {
      if (!this.#process.alive) throw new Error(`the gateway has exited: see ${this.log}`);
      return Rpc.connect(this.#port, this.#token).catch(() => undefined);
    });
  }
}

function configOf({ directory, modelUrl, credential, plugins }: Settings): object {
  const model = {
    id: "stand-in",
    name: "Stand-in",
    reasoning: false,
    input: ["text"],
    cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
    contextWindow: 128_000,
    maxTokens: 1024,
  };
  const provider = { baseUrl: modelUrl, apiKey: credential, api: "openai-completions", models: [model] };
  const entries = plugins.map(({ id, config }) => [
    id,
    { enabled: true, config, hooks: { allowConversationAccess: true } },
  ]);
  return {
    gateway: { mode: "local", bind: "loopback", auth: { mode: "token", token: credential } },
    models: { mode: "replace", providers: { "stand-in": provider }, catalogRefresh: { enabled: false } },
    agents: {
      defaults: {
        model: { primary: "stand-in/stand-in" },
        workspace: join(directory, "work"),
        skipBootstrap: true,
        heartbeat: { every: "0m" },
      },
    },
    cron: { enabled: false },
    discovery: { mdns: { mode: "off" } },
    update: { checkOnStart: false },
    telemetry: { enabled: false },
    logging: { file: join(directory, "openclaw.log") },
    plugins: {
      allow: plugins.map(({ id }) => id),
      load: { paths: plugins.map(({ path }) => path) },
      entries: Object.fromEntries(entries),
    },
  };
}

/** A port that was free a moment ago: OpenClaw wants to be told one. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  if (address === null || typeof address === "string") throw new Error("there is no port");
  return address.port;
}
