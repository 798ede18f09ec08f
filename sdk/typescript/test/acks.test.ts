import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Acks } from "../src/acks.js";
import { ACCEPTED, type Answer, OK, Reject, Retry } from "../src/answer.js";
import type { Ack } from "../src/gen/hookwire/v1/hook_service.js";
import { dice } from "./dice.js";

function said(ack: Ack | undefined): [number, ...Array<[number, string]>] {
  assert.ok(ack, "something to say");
  const exceptions = ack.exceptions.map(({ seq, status }): [number, string] => [
    Number(seq),
    status.replace("ACK_STATUS_", ""),
  ]);
  return [Number(ack.throughSeq), ...exceptions];
}

describe("Acks", () => {
  it("say a run of OKs in one number", () => {
    const acks = new Acks();
    assert.equal(acks.take(), undefined);
    for (let seq = 1; seq <= 5; seq += 1) acks.answer(seq, OK);
    assert.equal(acks.pending, 5);
    assert.deepEqual(said(acks.take()), [5]);
    assert.equal(acks.take(), undefined);
  });

  it("wait for nobody who is slow, and never speak for him", () => {
    const acks = new Acks();
    acks.answer(2, OK);
    acks.answer(3, OK);
    assert.deepEqual(said(acks.take()), [0, [2, "OK"], [3, "OK"]]);
    acks.answer(1, OK);
    assert.deepEqual(said(acks.take()), [3]);
  });

  it("make no exception of an OK that the prefix reaches in time", () => {
    const acks = new Acks();
    acks.answer(2, OK);
    acks.answer(3, ACCEPTED);
    acks.answer(1, OK);
    assert.deepEqual(said(acks.take()), [3, [3, "ACCEPTED"]]);
  });

  it("do not call OK what does not fit", () => {
    const acks = new Acks();
    for (let seq = 1; seq <= 258; seq += 1) acks.answer(seq, ACCEPTED);
    const [through, ...first] = said(acks.take());
    assert.deepEqual([through, first.length], [256, 256]);
    const [last, ...second] = said(acks.take());
    assert.deepEqual([last, second.length], [258, 2]);
    assert.equal(acks.take(), undefined);
  });

  it("say of each delivery what was answered, in whatever order and wherever one is taken", () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const random = dice(seed);
      const answers: Answer[] = [OK, OK, OK, OK, ACCEPTED, new Retry(), new Reject("no")];
      const given = Array.from({ length: 1 + random(60) }, (_, at) => ({
        seq: at + 1,
        answer: answers[random(answers.length)] ?? OK,
        order: random(1_000),
      })).sort((a, b) => a.order - b.order);
      const acks = new Acks();
      const read = new Map<number, string>();
      for (const { seq, answer } of given) {
        acks.answer(seq, answer);
        if (random(3) === 0) readByTheContract(acks.take(), read);
      }
      for (let ack = acks.take(); ack !== undefined; ack = acks.take()) readByTheContract(ack, read);
      const expected = new Map(given.map(({ seq, answer }) => [seq, answer.status]));
      assert.deepEqual(
        new Map([...read].sort(([a], [b]) => a - b)),
        new Map([...expected].sort(([a], [b]) => a - b)),
      );
    }
  });
});

function readByTheContract(ack: Ack | undefined, read: Map<number, string>): void {
  if (ack === undefined) return;
  const [through, ...exceptions] = said(ack);
  for (const [seq, status] of exceptions) {
    assert.ok(!read.has(seq), `${seq} is answered twice`);
    read.set(seq, status);
  }
  for (let seq = 1; seq <= through; seq += 1) if (!read.has(seq)) read.set(seq, "OK");
}
