/** Strings that must not leave the gateway, and whether they did. */

import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

export interface Canaries {
  /** In the gateway's config. */
  readonly config: string;
  /** A credential: the gateway's token, and the key of its model. */
  readonly credential: string;
  /** What people and the model say. */
  readonly body: string;
}

export function makeCanaries(): Canaries {
  const canary = (where: string) => `canary-${where}-${crypto.randomUUID()}`;
  return { config: canary("config"), credential: canary("credential"), body: canary("body") };
}

/** A canary that was found, and the file that it is in. */
export interface Leak {
  readonly of: keyof Canaries;
  readonly file: string;
}

/** Which of them are in any file below `directory`: on the wire, in the ledger, in what plugins got and keep. */
export function leaks(canaries: Canaries, directory: string): Leak[] {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.flatMap(({ parentPath, name }) => {
    const file = join(parentPath, name);
    const bytes = readFileSync(file);
    const found = (["config", "credential", "body"] as const).filter((of) => bytes.includes(canaries[of]));
    return found.map((of) => ({ of, file: relative(directory, file) }));
  });
}
