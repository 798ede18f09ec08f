/** The runs: what is done to a gateway and to what is around it, and which lives that makes. */

import type { Ground, Wanted } from "./ground.ts";
import { BRIEF, change, goOn, KILLED, type Life, open, RESTARTED, SAID, say } from "./life.ts";
import { until } from "./process.ts";
import { active, rowsOf } from "./tables.ts";

export interface Run extends Wanted {
  readonly says: string;
  /** Lives the run, to the gateway's exit. */
  live(ground: Ground): Promise<void>;
  readonly lives: readonly Life[];
  /** By plugin, the lives that it need not have seen; `*` is any plugin. What it saw start has to have ended anyway. */
  readonly unseen?: Readonly<Record<string, readonly Life[]>>;
  /** What people say is to be on the wire: the control that shows that the search for it finds it. */
  readonly tells?: boolean;
  /** How many sessions OpenClaw alone leaves active, at least. */
  readonly ghosts: number;
}

/** How long what is waited for around the gateway may take. */
const AROUND_SECONDS = 30;

const hello = ({ canaries }: Ground) => `Please remember ${canaries.body}.`;

async function upToTheRestart(ground: Ground): Promise<void> {
  await open(ground.gateway, hello(ground));
  await change(ground.gateway, hello(ground));
}

async function fromTheRestart(ground: Ground): Promise<void> {
  await ground.gateway.restart();
  await goOn(ground.gateway, hello(ground));
  await ground.gateway.end("SIGTERM");
}

export const RUNS: readonly Run[] = [
  {
    name: "restart",
    says: "restarted, then stopped",
    tapped: true,
    lives: RESTARTED,
    ghosts: 1,
    async live(ground) {
      await upToTheRestart(ground);
      await fromTheRestart(ground);
    },
  },
  {
    name: "kill",
    says: "killed with SIGKILL",
    flags: ["--gateway-grace", "3s"],
    lives: KILLED,
    ghosts: KILLED.filter(({ reason }) => reason === "LOST").length,
    async live(ground) {
      await upToTheRestart(ground);
      await ground.gateway.end("SIGKILL");
    },
  },
  {
    name: "hang",
    says: "a plugin hangs",
    lives: RESTARTED,
    unseen: { hung: RESTARTED },
    ghosts: 1,
    async live(ground) {
      const hung = await ground.add("hung", "python");
      await open(ground.gateway, hello(ground));
      await until(
        "the one that will hang has sessions open",
        AROUND_SECONDS,
        () => active(rowsOf(hung.file)).length >= 5,
      );
      hung.process.signal("SIGSTOP");
      await change(ground.gateway, hello(ground));
      await fromTheRestart(ground);
      hung.process.signal("SIGCONT");
    },
  },
  {
    name: "dispatcher",
    says: "the dispatcher is killed and started again",
    lives: RESTARTED,
    unseen: { "*": BRIEF },
    ghosts: 1,
    async live(ground) {
      await open(ground.gateway, hello(ground));
      await ground.dispatcher.end("SIGKILL");
      await change(ground.gateway, hello(ground));
      await ground.dispatcher.start();
      await ground.together();
      await fromTheRestart(ground);
    },
  },
  {
    name: "content",
    says: 'the control: content is "full"',
    bridge: { content: "full" },
    tapped: true,
    tells: true,
    lives: SAID,
    ghosts: 0,
    async live(ground) {
      await say(ground.gateway, hello(ground));
      await ground.gateway.end("SIGTERM");
    },
  },
];
