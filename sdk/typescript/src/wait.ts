/** Waiting for something to become true, and no longer than wanted. */

/** Wakes those who wait for something that somebody else's doing makes true. */
export class Condition {
  #waiting: Array<{ holds: () => boolean; wake: () => void }> = [];

  /** Waits until it holds. */
  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((wake) => this.#waiting.push({ holds, wake }));
  }

  /** Something has changed: those whose turn has come go on. */
  changed(): void {
    if (this.#waiting.length === 0) return;
    this.#waiting = this.#waiting.filter(({ holds, wake }) => {
      const still = !holds();
      if (!still) wake();
      return still;
    });
  }
}

/** Waits for it, but no longer than so many milliseconds; `undefined` when it did not come in time. */
export async function within<T>(ms: number, awaited: PromiseLike<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([awaited, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether it came within so many milliseconds. */
export async function isWithin(ms: number, awaited: PromiseLike<unknown>): Promise<boolean> {
  return (
    (await within(
      ms,
      awaited.then(() => true),
    )) ?? false
  );
}

/** Calls it once when told to stop: now, if that has been. What is returned undoes it. */
export function onAbort(stop: AbortSignal, listener: () => void): () => void {
  if (stop.aborted) {
    listener();
  } else {
    stop.addEventListener("abort", listener, { once: true });
  }
  return () => stop.removeEventListener("abort", listener);
}

/** Waits so many milliseconds, or until told to stop. */
export async function pause(ms: number, stop: AbortSignal): Promise<void> {
  let forget = () => {};
  const told = new Promise<void>((resolve) => {
    forget = onAbort(stop, resolve);
  });
  await within(ms, told);
  forget();
}
