/** What may be there at once: a promise costs more than all the rest of an event. */

/** A value, or the promise of it. */
export type Maybe<T> = T | PromiseLike<T>;

/** Whether it is still to come. */
export function isPromise<T>(maybe: Maybe<T>): maybe is PromiseLike<T> {
  return typeof (maybe as PromiseLike<T> | undefined)?.then === "function";
}

/** Goes on with the value: at once where it is there. */
export function whenThere<T, U>(maybe: Maybe<T>, next: (value: T) => Maybe<U>): Maybe<U> {
  return isPromise(maybe) ? maybe.then(next) : next(maybe);
}
