/** What stands in for the model: an OpenAI-compatible server on loopback that answers any prompt with one text. */

import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

const USAGE = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };

export interface Model {
  readonly url: string;
  close(): void;
}

export async function startModel(reply: string): Promise<Model> {
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => {
      body += part;
    });
    request.on("end", () => answer(response, body, reply));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function answer(response: ServerResponse, body: string, reply: string): void {
  const { model = "stand-in", stream = false } = body === "" ? {} : JSON.parse(body);
  const head = { id: "chatcmpl-1", created: 1, model };
  if (!stream) {
    const message = { role: "assistant", content: reply };
    const choices = [{ index: 0, message, finish_reason: "stop" }];
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ ...head, object: "chat.completion", choices, usage: USAGE }));
    return;
  }
  response.setHeader("content-type", "text/event-stream");
  const write = (delta: object, finish_reason: string | null, more = {}) => {
    const choices = [{ index: 0, delta, finish_reason }];
    const chunk = { ...head, object: "chat.completion.chunk", choices, ...more };
    response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  };
  write({ role: "assistant", content: reply }, null);
  write({}, "stop", { usage: USAGE });
  response.end("data: [DONE]\n\n");
}
