import { it } from "node:test";

import { Dispatcher, example, Gateway } from "./cast.js";

it("a dispatcher that goes silent is noticed on an idle stream, and dialled again", async (t) => {
  const dispatcher = await Dispatcher.serve(t);
  const hello = example(t, "hello", [], { HOOKWIRE_ADDR: dispatcher.address });
  await hello.lines("hookwire: welcome");
  dispatcher.process.kill("SIGSTOP");
  await hello.lines("hookwire: no stream");
  dispatcher.process.kill("SIGCONT");
  await hello.lines("hookwire: welcome", 2);
  new Gateway(t, dispatcher).start("s1");
  await hello.lines("session_start s1");
});
