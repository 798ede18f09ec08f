/** The hooks that are observed, and what of each may leave the gateway. What is not named here stays behind. */

import type { Fields, Rule } from "./pick.js";

/** Fields that all hold names, ids, paths or measures. */
function values(...names: string[]): Fields {
  return Object.fromEntries(names.map((name) => [name, "value" as const]));
}

/** Fields that all hold parts of a conversation. */
function texts(...names: string[]): Fields {
  return Object.fromEntries(names.map((name) => [name, "text" as const]));
}

const USAGE: Rule = {
  fields: {
    ...values("input", "output", "cacheRead", "cacheWrite", "total", "totalTokens"),
    cost: { fields: values("input", "output", "cacheRead", "cacheWrite", "total") },
  },
};

/** A part of a message. Of a picture only its kind: its bytes are no text. A file's name is somebody's words. */
const PART: Rule = {
  fields: {
    ...values("type", "id", "mimeType"),
    ...texts("text", "thinking"),
    name: { inFull: "value" },
    arguments: "data",
  },
};

const MESSAGE: Rule = {
  fields: {
    ...values("role", "id", "timestamp", "api", "provider", "model", "stopReason", "responseId"),
    ...values("toolCallId", "toolName", "isError"),
    content: { each: PART },
    usage: USAGE,
  },
};

const MESSAGES: Rule = { each: MESSAGE };

const MODEL: Fields = values(
  ...["runId", "sessionId", "sessionKey", "provider", "model", "api", "transport", "callId"],
  ...["contextTokenBudget", "contextWindowSource", "contextWindowReferenceTokens"],
);

const REPLY: Fields = {
  ...values("replyToId", "replyToIdFull", "replyToIsQuote"),
  ...texts("replyToBody", "replyToSender"),
};

const CRON_JOB: Rule = {
  fields: {
    ...values("id", "agentId", "enabled", "sessionTarget", "wakeMode", "createdAtMs", "updatedAtMs"),
    ...texts("name", "description"),
    // Neither command nor folder: a job's command line may hold a credential.
    schedule: { fields: values("kind", "everyMs", "anchorMs", "expr", "tz", "staggerMs", "at") },
    payload: {
      fields: { kind: "value", message: "text", text: "text", toolsAllow: { inFull: { each: "value" } } },
    },
    state: {
      fields: values(
        ...["nextRunAtMs", "runningAtMs", "lastRunAtMs", "lastRunStatus", "lastDurationMs", "lastDelivered"],
        "lastDeliveryStatus",
      ),
    },
  },
};

const USAGE_STATE: Rule = {
  fields: {
    ...values("provider", "model", "resolvedRef", "reasoningEffort", "fastMode", "fallbackUsed", "agentId"),
    ...values("sessionId", "chatType", "requested", "turnUsd", "durationMs"),
    ...values("contextTokenBudget", "contextUsedTokens"),
    usage: USAGE,
    lastUsage: USAGE,
  },
};

/** Hooks by name: the fields of each one's event. */
export const HOOKS: Readonly<Record<string, Fields>> = {
  after_compaction: values(
    "messageCount",
    "tokenCount",
    "compactedCount",
    "sessionFile",
    "previousSessionId",
  ),
  after_tool_call: {
    ...values("toolName", "toolCallId", "runId", "durationMs"),
    params: "data",
    result: "data",
    error: "text",
  },
  agent_end: { ...values("runId", "success", "durationMs"), messages: MESSAGES, error: "text" },
  agent_turn_prepare: { prompt: "text", messages: MESSAGES, queuedInjections: { inFull: { each: "data" } } },
  before_agent_finalize: {
    ...values("runId", "sessionId", "sessionKey", "turnId", "provider", "model", "cwd", "transcriptPath"),
    stopHookActive: "value",
    lastAssistantMessage: "text",
    messages: MESSAGES,
  },
  before_agent_reply: { cleanedBody: "text" },
  before_agent_run: {
    ...texts("prompt", "systemPrompt"),
    messages: MESSAGES,
    ...values("channelId", "accountId", "senderId", "senderIsOwner"),
  },
  before_compaction: {
    ...values("messageCount", "compactingCount", "tokenCount", "sessionFile"),
    messages: MESSAGES,
  },
  before_dispatch: {
    ...values("messageId", "channel", "sessionKey", "senderId", "isGroup", "timestamp"),
    ...texts("content", "body"),
    ...REPLY,
  },
  before_model_resolve: {
    prompt: "text",
    attachments: { each: { fields: values("kind", "mimeType") } },
  },
  before_prompt_build: { ...texts("prompt", "currentUserMessage"), messages: MESSAGES },
  before_reset: { ...values("sessionFile", "reason"), messages: MESSAGES },
  before_tool_call: {
    ...values("toolName", "toolKind", "toolInputKind", "runId", "toolCallId"),
    params: "data",
  },
  // Not the code: whoever has it is let in.
  channel_pairing_requested: values("channel", "accountId", "senderId"),
  cron_changed: {
    ...values(
      "action",
      "jobId",
      "sessionTarget",
      "agentId",
      "runAtMs",
      "durationMs",
      "status",
      "nextRunAtMs",
    ),
    ...values("completionStatus", "delivered", "deliveryStatus", "sessionId", "sessionKey", "runId"),
    ...values("model", "provider"),
    ...texts("error", "summary", "deliveryError"),
    job: CRON_JOB,
  },
  cron_reconciled: values("reason", "enabled"),
  gateway_start: values("port"),
  gateway_stop: values("reason"),
  llm_input: {
    ...MODEL,
    imagesCount: "value",
    ...texts("systemPrompt", "prompt"),
    historyMessages: MESSAGES,
    tools: { inFull: { each: { fields: { name: "value", description: "text" } } } },
  },
  llm_output: {
    ...MODEL,
    ...values("resolvedRef", "harnessId", "reasoningEffort", "fastMode"),
    prompt: "text",
    assistantTexts: { each: "text" },
    lastAssistant: MESSAGE,
    usage: USAGE,
  },
  message_received: {
    ...values("from", "messageId", "senderId", "sessionKey", "runId", "timestamp", "threadId"),
    content: "text",
    ...REPLY,
    metadata: {
      fields: {
        ...values("provider", "surface", "originatingChannel", "originatingTo", "messageId", "senderId"),
        ...values("threadId"),
      },
    },
  },
  message_sending: {
    ...values("to", "replyToId", "threadId"),
    content: "text",
    metadata: { fields: { channel: "value", mediaUrls: { inFull: { each: "text" } } } },
  },
  message_sent: {
    ...values("to", "success", "messageId", "sessionKey", "runId"),
    ...texts("content", "error"),
  },
  model_call_ended: {
    ...MODEL,
    ...values("durationMs", "outcome", "errorCategory", "failureKind", "requestPayloadBytes"),
    ...values("responseStreamBytes", "timeToFirstByteMs", "upstreamRequestIdHash"),
  },
  model_call_started: MODEL,
  reply_payload_sending: {
    ...values("kind", "channel", "sessionKey", "runId"),
    payload: {
      fields: { ...values("replyToTag", "replyToId", "audioAsVoice", "isError"), text: "text" },
    },
    usageState: USAGE_STATE,
  },
  session_end: values("sessionId", "sessionKey", "reason", "sessionFile", "nextSessionId", "nextSessionKey"),
  session_start: values("sessionId", "sessionKey", "resumedFrom", "sessionFile"),
  skill_changed: values("action", "source", "occurredAt"),
  skill_proposal_changed: {
    ...values("eventId", "sequence", "action", "occurredAt", "correlationId"),
    // A skill is named, and so keyed, by what the conversation was about.
    proposal: {
      fields: { ...values("id", "kind", "status", "revision"), ...texts("skillName", "skillKey") },
    },
  },
  subagent_ended: {
    ...values("targetSessionKey", "targetKind", "reason", "sendFarewell", "outcome", "runId", "endedAt"),
    ...values("accountId"),
    error: "text",
  },
  subagent_progress: values("phase", "runId", "childSessionKey", "outcome"),
  subagent_spawned: {
    ...values("childSessionKey", "agentId", "mode", "threadRequested", "runId"),
    ...values("resolvedModel", "resolvedProvider"),
    label: "text",
  },
};

/** Without these nobody would know what is alive: they are observed always. */
export const LIFECYCLE: ReadonlySet<string> = new Set([
  "gateway_start",
  "gateway_stop",
  "session_start",
  "session_end",
]);

/** The hooks to register for. */
export function observed(skipped: readonly string[]): string[] {
  return Object.keys(HOOKS).filter((hook) => LIFECYCLE.has(hook) || !skipped.includes(hook));
}

/** What of every hook's `ctx` may leave, in this order, where it is a text, a number or a boolean. */
export const CTX_FIELDS = [
  "agentId",
  "callId",
  "channel",
  "channelId",
  "chatId",
  "childSessionKey",
  "contextTokenBudget",
  "contextWindowSource",
  "conversationId",
  "jobId",
  "messageId",
  "messageProvider",
  "modelId",
  "modelProviderId",
  "port",
  "requesterSessionKey",
  "runId",
  "senderId",
  "sessionId",
  "sessionKey",
  "toolCallId",
  "toolName",
  "trigger",
  "workspaceDir",
] as const;
