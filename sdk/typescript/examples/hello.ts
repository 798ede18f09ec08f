/** A plugin in a few lines: prints what happens to sessions. */

import { leave, Plugin } from "@hookwire/sdk";

const plugin = new Plugin("hello");
plugin.on("session_*", async (event) => {
  console.log(`${event.hook} ${event.session?.id} #${event.session?.incarnation}`);
});
await plugin.run().catch(leave);
