/** The gateway's own WebSocket protocol, as much of it as is needed to call methods as the local operator. */

interface Frame {
  type: string;
  event?: string;
  id?: string;
  ok?: boolean;
  payload?: unknown;
  error?: { message?: string };
}

interface Waiting {
  resolve(payload: unknown): void;
  reject(error: Error): void;
}

/** How long any one call may take. */
const CALL_MS = 90_000;

export class Rpc {
  #socket: WebSocket;
  #calls = 0;
  #waiting = new Map<string, Waiting>();
  #closed = false;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#take(JSON.parse(String(data))));
    socket.addEventListener("close", () => {
      this.#closed = true;
      for (const call of this.#waiting.values()) call.reject(new Error("the gateway hung up"));
      this.#waiting.clear();
    });
  }

  /** Connects and says who is there. Throws where the gateway is not there, or not ready yet. */
  static async connect(port: number, token: string): Promise<Rpc> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`);
    const rpc = new Rpc(socket);
    await rpc.#settled("connect.challenge");
    await rpc.call("connect", {
      minProtocol: 4,
      maxProtocol: 4,
      client: { id: "gateway-client", version: "1.0.0", platform: "linux", mode: "backend" },
      role: "operator",
      scopes: ["operator.read", "operator.write", "operator.admin"],
      caps: [],
      auth: { token },
    });
    return rpc;
  }

  async call<T = Record<string, unknown>>(method: string, params: object): Promise<T> {
    this.#calls += 1;
    const id = String(this.#calls);
    const answer = this.#settled(id);
    this.#socket.send(JSON.stringify({ type: "req", id, method, params }));
    try {
      return (await answer) as T;
    } catch (error) {
      throw new Error(`${method}: ${error instanceof Error ? error.message : error}`);
    }
  }

  /** The gateway has hung up. */
  get closed(): boolean {
    return this.#closed;
  }

  #settled(id: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no answer within ${CALL_MS} ms`)), CALL_MS);
      const settle = <T>(then: (value: T) => void) => {
        return (value: T) => {
          clearTimeout(late);
          this.#waiting.delete(id);
          then(value);
        };
      };
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
    });
  }

  #take(frame: Frame): void {
    const call = this.#waiting.get((frame.type === "event" ? frame.event : frame.id) ?? "");
    if (frame.type === "res" && frame.ok !== true) {
      call?.reject(new Error(frame.error?.message ?? "refused"));
    } else {
      call?.resolve(frame.payload);
    }
  }
}
