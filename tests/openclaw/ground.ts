/** What a run stands on: a dispatcher, its plugins, a model, and a gateway with two plugins inside, the bridge and the ghosts. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type Canaries, makeCanaries } from "./canary.ts";
import { Dispatcher, Listener, Table } from "./dispatcher.ts";
import { Gateway, type InProcess } from "./gateway.ts";
import { type Model, startModel } from "./model.ts";
import { Process } from "./process.ts";
import { BRIDGE, GHOSTS, HOOKWIRE, LOAD, TABLES } from "./programs.ts";
import { startTap, type Tap } from "./proxy.ts";

export interface Wanted {
  readonly name: string;
  /** The dispatcher's flags. */
  readonly flags?: readonly string[];
  /** What the bridge's config says beside its address, or that there is no bridge. */
  readonly bridge?: Record<string, unknown> | "none";
  /** Whether the bridge dials through a wire-tap on TCP, and not the dispatcher's Unix socket. */
  readonly tapped?: boolean;
  /** How the plugin answers that only writes down what it receives. */
  readonly listener?: "ok" | "never";
  /** The file that gets what plugins receive, as the lines that `hookwire publish` reads. */
  readonly record?: string;
  /** Hooks that are fired in the gateway, beside its own; for a measurement: there is one plugin then, and none that keep tables. */
  readonly load?: { readonly rate: number; readonly seconds: number };
}

export class Ground {
  readonly canaries: Canaries = makeCanaries();
  readonly directory: string;
  /** All that is not in the gateway: nothing of a canary may be in there. */
  readonly outside: string;
  readonly dispatcher: Dispatcher;
  readonly tables: Table[] = [];
  readonly ghosts: string;
  readonly #inside: string;
  readonly #wanted: Wanted;
  #listener: Listener | undefined;
  #recorder: Process | undefined;
  #model: Model | undefined;
  #tap: Tap | undefined;
  #gateway: Gateway | undefined;

  constructor(wanted: Wanted) {
    this.#wanted = wanted;
    this.directory = mkdtempSync(join(tmpdir(), `hookwire-${wanted.name}-`));
    this.outside = join(this.directory, "outside");
    this.#inside = join(this.directory, "inside");
    for (const each of [this.outside, this.#inside]) mkdirSync(each);
    this.dispatcher = new Dispatcher(join(this.outside, "dispatcher"), wanted.flags);
    this.ghosts = join(this.#inside, "ghosts.db");
  }

  /** Starts all of it, the gateway last. */
  async start(): Promise<void> {
    const { tapped = false, listener = "ok", load, record } = this.#wanted;
    await this.dispatcher.start();
    this.#listener = new Listener("listener", listener, this.dispatcher.address, this.outside);
    await Promise.all([
      this.dispatcher.connected(["listener"]),
      ...(load ? [] : Object.keys(TABLES)).map((sdk) => this.add(sdk, sdk)),
    ]);
    if (record !== undefined) await this.#record(record);
    this.#model = await startModel(`The model says ${this.canaries.body}.`);
    if (tapped) this.#tap = await startTap(this.dispatcher.socket, join(this.outside, "sent.bin"));
    this.#gateway = await Gateway.boot({
      directory: this.#inside,
      modelUrl: this.#model.url,
      credential: this.canaries.credential,
      plugins: this.#plugins(),
    });
  }

  async #record(file: string): Promise<void> {
    const name = "recorder";
    const command = [HOOKWIRE, "record", "--to", this.dispatcher.address, "--as", name, file];
    this.#recorder = new Process({ name, command, log: join(this.outside, "recorder.log") });
    await this.dispatcher.connected([name]);
  }

  /** What runs inside the gateway. The canary of the config is in the entry of the ghosts. */
  #plugins(): InProcess[] {
    const { bridge = {}, load } = this.#wanted;
    const address = this.#tap?.address ?? this.dispatcher.address;
    const plugins: InProcess[] = load
      ? [{ id: "load", path: LOAD, config: { ...load, report: this.loadReport } }]
      : [{ id: "ghosts", path: GHOSTS, config: { table: this.ghosts, canary: this.canaries.config } }];
    if (bridge !== "none") plugins.push({ id: "hookwire", path: BRIDGE, config: { ...bridge, address } });
    return plugins;
  }

  /** Where the times of the fired hooks will be. */
  get loadReport(): string {
    return join(this.#inside, "load.json");
  }

  /** How many events with this text in them have reached the plugin that writes them down, without the starts that are made for them. */
  arrived(text: string): number {
    const received = this.#listener ? readFileSync(this.#listener.received, "utf8") : "";
    return received.split("\n").filter((line) => line.includes(text) && !line.includes('"session_start"')).length;
  }

  get gateway(): Gateway {
    if (this.#gateway === undefined) throw new Error("there is no gateway");
    return this.#gateway;
  }

  /** One more `session_table`, under a name of its own. */
  async add(name: string, sdk: string): Promise<Table> {
    const table = new Table(name, TABLES[sdk] ?? [], this.dispatcher.address, this.outside);
    this.tables.push(table);
    await this.dispatcher.connected([name]);
    return table;
  }

  /** Waits until the gateway and the plugins are all connected. */
  async together(): Promise<void> {
    await this.dispatcher.attached();
    await this.dispatcher.connected(this.tables.map(({ name }) => name));
  }

  /** Removes what the run has left on the disk. */
  forget(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Ends what is still there. It may have been stopped, or hang: nothing here is asked whether it likes to. */
  async clear(): Promise<void> {
    await this.#gateway?.end("SIGKILL");
    await this.#recorder?.end("SIGTERM"); // it has a file to finish
    const plugins = [...this.tables, ...(this.#listener ? [this.#listener] : [])];
    await Promise.all(plugins.map((plugin) => plugin.process.end("SIGKILL")));
    await this.dispatcher.end("SIGKILL");
    this.#tap?.close();
    this.#model?.close();
  }
}
