/** OpenTelemetry, where its API package is installed: a handler runs in the context that its event brings along. */

/** Runs something in the context of a `traceparent`. */
export type InContext = <T>(traceparent: string, run: () => T) => T;

/** `undefined` where there is no OpenTelemetry: nothing is to be done then. */
export async function findTracing(): Promise<InContext | undefined> {
  try {
    const { context, propagation } = await import("@opentelemetry/api");
    return (traceparent, run) => context.with(propagation.extract(context.active(), { traceparent }), run);
  } catch {
    return undefined; // it is not installed, and nobody asked for it
  }
}
