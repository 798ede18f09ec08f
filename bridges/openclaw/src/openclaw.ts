/** What the bridge uses of OpenClaw's plugin API. */

/** Where a plugin says something about itself. */
export interface Log {
  info(line: string): void;
  warn(line: string): void;
  error(line: string): void;
}

/** What a service is started with. */
export interface ServiceContext {
  /** The folder of the gateway's own state. */
  readonly stateDir: string;
}

/** A part of a plugin that lives as long as the gateway, or until the plugin is replaced. */
export interface Service {
  readonly id: string;
  start(context: ServiceContext): void;
  stop(): Promise<void>;
}

/** A hook's observer. What it returns would be read as a decision, so it is nothing, or a promise of nothing. */
export type Observer = (event: unknown, ctx: unknown) => Promise<void> | undefined;

/** What `register` is handed. */
export interface Api {
  /** "full" in the gateway itself; every other mode is a look at what the plugin has. */
  readonly registrationMode: string;
  readonly pluginConfig?: Record<string, unknown>;
  readonly logger: Log;
  on(hook: string, observer: Observer, options: { priority: number; timeoutMs: number }): void;
  registerService(service: Service): void;
}
