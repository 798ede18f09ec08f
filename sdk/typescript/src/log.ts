/** What the SDK says about itself. */

/** Takes whole lines, so that `console`, pino, winston and their like all fit as they are. */
export interface Logger {
  debug(line: string): void;
  info(line: string): void;
  warn(line: string): void;
  error(line: string): void;
}

function say(line: string): void {
  console.error(`hookwire: ${line}`);
}

/** The console's stderr, without `debug`: stdout belongs to the plugin. */
export const consoleLogger: Logger = { debug() {}, info: say, warn: say, error: say };

/** An error with where it came from, as a line or more. */
export function inFull(error: unknown): string {
  return error instanceof Error ? (error.stack ?? String(error)) : String(error);
}
