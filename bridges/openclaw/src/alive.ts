/** Which sessions the gateway holds alive, by the rules of the dispatcher, from what it is told. Pure. */

import type {
  LiveSessions,
  SessionRef,
} from "../../../sdk/typescript/src/gen/hookwire/v1/gateway_service.js";

/** The largest list, in bytes: every dispatcher takes that in, and no 100,000 sessions fit, which is the most that one may name. */
const LARGEST_LIST = 1 << 20;

/** Sessions that are over and still known: what straggles behind an end begins nothing. */
const MOST_OVER = 100_000;

/** The most that a session's place in a list takes beside its names, in bytes. */
const AROUND_NAMES = 12;

/** The longest id, key or agent that a dispatcher takes in, in bytes. */
const LONGEST_NAME = 1024;

/** One id, in whichever of its lives. */
interface Session {
  readonly key: string;
  readonly agentId: string;
  alive: boolean;
  /** The number of what began its latest life; 0 where there was none. */
  began: number;
  /** The number of its latest session_end; 0 where there was none. */
  ended: number;
}

/** What an event is to the lives of sessions: worth keeping, if it starts or ends one. */
export interface Life {
  readonly id: string;
}

/** The sessions of one boot. */
export class Alive {
  readonly #byId = new Map<string, Session>();
  #alive = 0;
  /** What they take in a list, in bytes, at most. */
  #bytes = 0;

  /** Follows what the gateway tells under this number; the session that begins or ends with it, if one does. */
  follow(seq: number, hook: string, said: SessionRef | undefined): Life | undefined {
    if (said === undefined || !isSound(said)) return undefined;
    if (hook === "session_end") return this.#ends(said, seq);
    if (said.id === undefined) return undefined;
    if (hook !== "session_start" && this.#byId.has(said.id)) return undefined;
    return this.#begins(said.id, said, seq);
  }

  /** Whether what was told under this number keeps a session that is alive apart from its earlier life. */
  leansOn(seq: number, { id }: Life): boolean {
    const session = this.#byId.get(id);
    return session?.alive === true && (session.began === seq || session.ended === seq);
  }

  /** All that are alive; `undefined` where they are too many to be listed. */
  list(): LiveSessions | undefined {
    if (this.#bytes > LARGEST_LIST) return undefined;
    const alive = [...this.#byId].filter(([, session]) => session.alive);
    return { sessions: alive.map(([id, { key, agentId }]) => ({ id, key, agentId })) };
  }

  #begins(id: string, { key, agentId }: SessionRef, seq: number): Life {
    const known = this.#byId.get(id);
    if (known?.alive) return { id }; // it goes on: the dispatcher drops a second start, too
    this.#byId.set(id, { key, agentId, alive: true, began: seq, ended: known?.ended ?? 0 });
    this.#count(id, { key, agentId }, 1);
    return { id };
  }

  #ends(said: SessionRef, seq: number): Life | undefined {
    const id = said.id ?? this.#newestOf(said.key);
    if (id === undefined) return undefined;
    const session = this.#byId.get(id) ?? {
      key: said.key,
      agentId: said.agentId,
      alive: false,
      began: 0,
      ended: 0,
    };
    if (session.alive) this.#count(id, session, -1);
    session.alive = false;
    session.ended = seq;
    this.#byId.set(id, session);
    if (this.#byId.size - this.#alive > MOST_OVER) this.#forgetWhatIsOver();
    return { id };
  }

  #count(id: string, { key, agentId }: Pick<Session, "key" | "agentId">, sign: 1 | -1): void {
    this.#alive += sign;
    this.#bytes += sign * (Buffer.byteLength(id + key + agentId) + AROUND_NAMES);
  }

  #forgetWhatIsOver(): void {
    for (const [id, { alive }] of this.#byId) if (!alive) this.#byId.delete(id);
  }

  /** The live session of that key that began last. */
  #newestOf(key: string): string | undefined {
    const keyed = [...this.#byId].filter(([, session]) => session.alive && key !== "" && session.key === key);
    return keyed.sort(([, a], [, b]) => b.began - a.began)[0]?.[0];
  }
}

/** Whether the dispatcher takes such a name in: a list with one that it does not is refused as a whole. */
function isSound({ id, key, agentId }: SessionRef): boolean {
  return id !== "" && [id ?? "", key, agentId].every((name) => Buffer.byteLength(name) <= LONGEST_NAME);
}
