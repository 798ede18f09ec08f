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

/** Which of them are in any file below `directory`, and in which: the wire, the ledger, what plugins got and keep. */
export function leaks(canaries: Canaries, directory: string): string[] {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.flatMap(({ parentPath, name }) => {
    const file = join(parentPath, name);
    const bytes = readFileSync(file);
    return Object.entries(canaries)
      .filter(([, canary]) => bytes.includes(canary))
      .map(([where]) => `the ${where} is in ${relative(directory, file)}`);
  });
}
