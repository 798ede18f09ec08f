import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

import { status } from "@grpc/grpc-js";
import { Displaced, InvalidAddress, MemoryStore, OK, Refused, Reject, Retry } from "@hookwire/sdk";
import { targetOf } from "../src/address.js";
import { answerIn, exceptionOf } from "../src/answer.js";
import { Backoff } from "../src/backoff.js";
import { refusal } from "../src/errors.js";
import { Routes } from "../src/routes.js";
import { Sweep } from "../src/sweep.js";
import { VERSION } from "../src/version.js";

describe("an address", () => {
  it("is host:port, [v6]:port or unix:/path", () => {
    assert.equal(targetOf("127.0.0.1:7400"), "dns:127.0.0.1:7400");
    assert.equal(targetOf("[::1]:7400"), "dns:[::1]:7400");
    assert.equal(targetOf("unix:/run/hookwire.sock"), "unix:/run/hookwire.sock");
  });

  it("is nothing else", () => {
    for (const text of ["", "7400", "host:", "host:99999", ":7400", "::1:7400", "http://host:1", "unix:"]) {
      assert.throws(() => targetOf(text), InvalidAddress, text);
    }
  });
});

describe("Backoff", () => {
  it("doubles its bound in two stages, and begins anew", () => {
    const backoff = new Backoff(() => 1);
    const waits = Array.from({ length: 31 }, () => backoff.nextWait());
    assert.deepEqual(waits.slice(0, 4), [100, 200, 400, 400]);
    assert.deepEqual(waits.slice(24), [400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    backoff.reset();
    assert.equal(backoff.nextWait(), 100);
    assert.equal(new Backoff(() => 0).nextWait(), 0);
  });
});

describe("an answer", () => {
  it("never leaves a delay to the dispatcher that the author gave", () => {
    const ms = (after?: number) =>
      exceptionOf(1, new Retry(after === undefined ? {} : { after })).retryAfterMs;
    assert.deepEqual([ms(), ms(0), ms(1.1), ms(Infinity)], [0, 1, 2, 0xffff_ffff]);
    assert.throws(() => new Retry({ after: -1 }), RangeError);
    assert.throws(() => new Retry({ after: Number.NaN }), RangeError);
  });

  it("is cut between characters", () => {
    assert.equal(exceptionOf(1, new Reject("c", "ä".repeat(1_000))).text, "ä".repeat(128));
    assert.equal(exceptionOf(1, new Reject("c", `x${"ä".repeat(1_000)}`)).text, `x${"ä".repeat(127)}`);
    assert.equal(exceptionOf(1, new Retry({ text: "short" })).text, "short");
  });

  it("counts wherever it stands in the chain of causes", () => {
    const reject = new Reject("bad", "inside");
    assert.equal(answerIn(new Error("wrapped", { cause: new Error("again", { cause: reject }) })), reject);
    assert.equal(answerIn(new Error("none")), undefined);
  });
});

describe("a status", () => {
  it("is a no, or nobody there", () => {
    assert.ok(refusal(status.INVALID_ARGUMENT, "") instanceof Refused);
    assert.ok(refusal(status.ALREADY_EXISTS, "") instanceof Displaced);
    for (const code of [status.UNAVAILABLE, status.UNKNOWN, status.INTERNAL, status.CANCELLED, -1]) {
      assert.equal(refusal(code, ""), undefined, String(code));
    }
  });
});

describe("Routes", () => {
  it("find the first glob that matches", () => {
    const [first, second] = [() => {}, () => {}];
    const routes = new Routes();
    routes.add("session_*", first);
    routes.add("*", second);
    assert.equal(routes.find("session_end"), first);
    assert.equal(routes.find("message"), second);
    assert.deepEqual(routes.globs, ["session_*", "*"]);
  });

  it("take nothing but * and ? for more than itself", () => {
    const matches = (glob: string, hook: string) => {
      const routes = new Routes();
      routes.add(glob, () => {});
      return routes.find(hook) !== undefined;
    };
    assert.ok(matches("a?c", "abc") && matches("a.c", "a.c") && matches("*", "") && matches("a*c", "a\nc"));
    assert.ok(
      !matches("a?c", "ac") && !matches("a.c", "abc") && !matches("a", "ab") && !matches("(a|b)", "a"),
    );
  });

  it("find more names than they remember", () => {
    const routes = new Routes();
    routes.add("message_*", () => {});
    for (let n = 0; n < 2_100; n += 1) {
      assert.ok(routes.find(`message_${n % 1_050}`));
      assert.ok(!routes.find(`tool_${n % 1_050}`));
    }
  });
});

describe("MemoryStore", () => {
  it("forgets the oldest", () => {
    const store = new MemoryStore(2);
    for (const id of ["a", "b", "a", "c"]) store.put(id, OK, "ledger", 1n);
    assert.deepEqual(
      ["a", "b", "c"].map((id) => store.get(id) !== undefined),
      [true, false, true],
    );
  });

  it("forgets what is of another ledger, or of an earlier stream", () => {
    const store = new MemoryStore(1);
    store.put("other", OK, "other", 9n);
    store.forget("ledger", 2n);
    assert.equal(store.get("other"), undefined);
    store.put("earlier", OK, "ledger", 1n);
    store.forget("ledger", 2n);
    assert.equal(store.get("earlier"), undefined);
    store.put("now", OK, "ledger", 2n);
    store.forget("ledger", 2n);
    assert.equal(store.get("now"), OK);
  });

  it("holds no more than it may, however often it forgot", () => {
    const store = new MemoryStore(10);
    for (let n = 0; n < 1_000; n += 1) {
      store.put(`id-${n}`, OK, "ledger", BigInt(n));
      if (n % 37 === 0) store.forget("ledger", BigInt(n - 20));
    }
    const held = Array.from({ length: 1_000 }, (_, n) => n).filter((n) => store.get(`id-${n}`));
    assert.deepEqual(held, [990, 991, 992, 993, 994, 995, 996, 997, 998, 999]);
  });
});

describe("Sweep", () => {
  it("takes for owed what was named in this ledger", () => {
    const cases = [
      { known: true, announced: true, unnamed: false },
      { known: false, announced: true, unnamed: false },
      { known: false, announced: false, unnamed: false },
      { known: true, announced: false, unnamed: true },
    ];
    for (const { known, announced, unnamed } of cases) {
      const sweep = new Sweep("here", known, announced, new Set([7n]));
      assert.ok(sweep.isOwed("here", 7) && sweep.isOwed("here", 7n));
      assert.ok(!sweep.isOwed("elsewhere", 7));
      assert.equal(sweep.isOwed("here", 8), unnamed);
    }
  });
});

describe("the version", () => {
  it("is the package's", () => {
    const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
    assert.equal(VERSION, JSON.parse(manifest).version);
  });
});
