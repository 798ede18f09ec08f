import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Lanes, type Ticket } from "../src/lanes.js";
import { dice } from "./dice.js";

/** Everything whose turn it is. */
function out(lanes: Lanes<number>): Ticket<number>[] {
  const tickets: Ticket<number>[] = [];
  for (let next = lanes.pop(); next !== undefined; next = lanes.pop()) tickets.push(next);
  return tickets;
}

function items(tickets: Ticket<number>[]): Array<number | undefined> {
  return tickets.map(({ item }) => item);
}

function take<T>(from: T[]): T {
  const first = from.shift();
  assert.ok(first);
  return first;
}

describe("Lanes", () => {
  it("let one of a lane out at a time, and lanes side by side", () => {
    const lanes = new Lanes<number>();
    lanes.push("a", "lane", 1);
    lanes.push("a", "lane", 2);
    lanes.push("b", "lane", 3);
    const first = out(lanes);
    assert.deepEqual(items(first), [1, 3]);
    lanes.done(take(first));
    assert.deepEqual(items(out(lanes)), [2]);
    lanes.done(take(first));
    assert.deepEqual(items(out(lanes)), []);
    assert.equal(lanes.size, 1);
  });

  it("have what comes after all wait for what came before it, and for nothing else", () => {
    const lanes = new Lanes<number>();
    lanes.push("a", "lane", 1);
    lanes.push("", "all", 2);
    lanes.push("", "lane", 3);
    lanes.push("b", "lane", 4);
    const first = out(lanes);
    assert.deepEqual(items(first), [1, 4], "what came later waits for it in its lane only");
    lanes.done(take(first));
    const second = out(lanes);
    assert.deepEqual(items(second), [2], "nor does it wait for what came later");
    lanes.done(take(second));
    assert.deepEqual(items(out(lanes)), [3]);
  });

  it("give everything its turn, in order in each lane, whatever is finished when", () => {
    for (let seed = 1; seed <= 500; seed += 1) {
      const random = dice(seed);
      const lanes = new Lanes<number>();
      const pushed = Array.from({ length: random(40) }, (_, item) => {
        const lane = String(random(4));
        const all = random(4) === 0;
        lanes.push(lane, all ? "all" : "lane", item);
        return { lane, all };
      });
      const running: Ticket<number>[] = [];
      const finished = new Set<number>();
      for (let n = 0; n < pushed.length; n += 1) {
        running.push(...out(lanes));
        const [ticket] = running.splice(random(running.length), 1);
        const item = ticket?.item ?? -1;
        const mine = pushed[item];
        assert.ok(ticket && mine, `seed ${seed}: nobody has a turn`);
        pushed.slice(0, item).forEach(({ lane }, earlier) => {
          const waits = mine.all || lane === mine.lane;
          assert.ok(!waits || finished.has(earlier), `seed ${seed}: ${item} overtook ${earlier}`);
        });
        finished.add(item);
        lanes.done(ticket);
      }
      assert.equal(lanes.size, 0);
      assert.equal(lanes.pop(), undefined);
    }
  });
});
