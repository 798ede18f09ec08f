/** A wire-tap: a TCP port on loopback that passes everything on to a Unix socket, and keeps what went out. */

import { appendFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface Tap {
  /** Where the bridge dials. */
  readonly address: string;
  close(): void;
}

/** `sent` is the file that gets every byte that the bridge sends, connection after connection. */
export async function startTap(socketPath: string, sent: string): Promise<Tap> {
  const open = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(socketPath);
    near.on("data", (bytes) => appendFileSync(sent, bytes));
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(from);
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        open.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}
