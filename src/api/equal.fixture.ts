// Equality of types, for tests of inference: `check<Equal<A, B>>()` compiles when both are one.

export type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** The type with its properties written out, so that equal shapes are equal types. */
export type Plain<T> = { readonly [Name in keyof T]: T[Name] };

export function check<_Holds extends true>(): void {}
