import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { it } from "node:test";

import {
  type Context,
  context,
  createContextKey,
  propagation,
  ROOT_CONTEXT,
  type TextMapGetter,
} from "@opentelemetry/api";

import { findTracing } from "../src/trace.js";

const KEY = createContextKey("traceparent");

it("a handler runs in the context that its event brings along", async () => {
  const store = new AsyncLocalStorage<Context>();
  context.setGlobalContextManager({
    active: () => store.getStore() ?? ROOT_CONTEXT,
    with: (active, run, that, ...args) => store.run(active, () => run.call(that as never, ...args)),
    bind: (_, target) => target,
    enable() {
      return this;
    },
    disable() {
      return this;
    },
  });
  propagation.setGlobalPropagator({
    inject() {},
    extract: (active: Context, carrier: unknown, getter: TextMapGetter<unknown>) =>
      active.setValue(KEY, getter.get(carrier, "traceparent")),
    fields: () => ["traceparent"],
  });
  const inContext = await findTracing();
  assert.ok(inContext);
  const seen = await inContext("00-aa-bb-01", async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return context.active().getValue(KEY);
  });
  assert.equal(seen, "00-aa-bb-01");
  assert.equal(context.active().getValue(KEY), undefined);
});
