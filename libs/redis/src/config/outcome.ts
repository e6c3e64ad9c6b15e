/** What comes of reading one value: the value, or what is wrong with it. Reading never throws, so all faults are found. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: string; readonly hint?: string | undefined };
