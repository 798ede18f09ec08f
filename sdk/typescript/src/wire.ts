/** The wire's own types, as generated. */

export * from "./gen/hookwire/v1/event.js";
export * from "./gen/hookwire/v1/hook_service.js";
