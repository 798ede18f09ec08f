/** What a run stands on: a dispatcher, its plugins, a model, and a gateway with two plugins inside, the bridge and the ghosts. */

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type Canaries, makeCanaries } from "./canary.ts";
import { Dispatcher, Listener, Table } from "./dispatcher.ts";
import { Gateway, type InProcess } from "./gateway.ts";
import { type Model, startModel } from "./model.ts";
import { BRIDGE, GHOSTS, TABLES } from "./programs.ts";
import { startTap, type Tap } from "./proxy.ts";

export interface Wanted {
  readonly name: string;
  /** The dispatcher's flags. */
  readonly flags?: readonly string[];
  /** What the bridge's config says beside its address. */
  readonly bridge?: Record<string, unknown>;
  /** Whether the bridge dials through a wire-tap on TCP, and not the dispatcher's Unix socket. */
  readonly tapped?: boolean;
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
    const { bridge, tapped = false } = this.#wanted;
    await this.dispatcher.start();
    this.#listener = new Listener("listener", "ok", this.dispatcher.address, this.outside);
    await Promise.all([
      this.dispatcher.connected(["listener"]),
      ...Object.keys(TABLES).map((sdk) => this.add(sdk, sdk)),
    ]);
    this.#model = await startModel(`The model says ${this.canaries.body}.`);
    if (tapped) this.#tap = await startTap(this.dispatcher.socket, join(this.outside, "sent.bin"));
    const address = this.#tap?.address ?? this.dispatcher.address;
    this.#gateway = await Gateway.boot({
      directory: this.#inside,
      modelUrl: this.#model.url,
      credential: this.canaries.credential,
      plugins: [
        ghosts(this.ghosts, this.canaries.config),
        { id: "hookwire", path: BRIDGE, config: { ...bridge, address } },
      ],
    });
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
    const plugins = [...this.tables, ...(this.#listener ? [this.#listener] : [])];
    await Promise.all(plugins.map((plugin) => plugin.process.end("SIGKILL")));
    await this.dispatcher.end("SIGKILL");
    this.#tap?.close();
    this.#model?.close();
  }
}

/** The plugin inside has the canary of the config in its own entry there. */
export function ghosts(table: string, canary: string): InProcess {
  return { id: "ghosts", path: GHOSTS, config: { table, canary } };
}
