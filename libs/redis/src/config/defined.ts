/** An object without the members that are `undefined`. */
type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Boundary: the compiler cannot follow what `filter` leaves, so the one assertion stands here. */
export function defined<T extends object>(members: T): Defined<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Defined<T>;
}
