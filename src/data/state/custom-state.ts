// Accumulators of users' aggregates as text, which they cross exchanges as: JSON, and what it has
// no words for. What would come back as something else is refused, because results would depend on
// where micro-batches were cut.

import { StreamError } from '../../base/stream-error.ts';

/** The one member of an object that stands for a number or bigint that JSON cannot write. */
const tag = '$mizzle';

/** Throws a StreamError with code `user-function` for what is neither JSON nor a number. */
export function stateToText(state: unknown, aggregate: string): string {
  return JSON.stringify(state, replacerFor(aggregate)) ?? 'null';
}

export function stateFromText(text: string): unknown {
  return text.includes(`"${tag}"`) ? JSON.parse(text, revive) : JSON.parse(text);
}

type Replacer = (this: unknown, key: string, value: unknown) => unknown;

function replacerFor(aggregate: string): Replacer {
  return function (key, value) {
    // `toJSON` has changed dates by now: the holder has what the user's function gave.
    const given = (this as { readonly [key: string]: unknown })[key];
    switch (typeof given) {
      case 'bigint':
        return { [tag]: `${given}n` };
      case 'number':
        return isJsonNumber(given) ? given : { [tag]: Object.is(given, -0) ? '-0' : `${given}` };
      case 'function':
      case 'symbol':
        throw notJson(aggregate, `a ${typeof given}`);
      case 'object':
        if (given !== null && !isPlain(given)) throw notJson(aggregate, nameOf(given));
        return given;
      default:
        return value;
    }
  };
}

function isJsonNumber(value: number): boolean {
  return Number.isFinite(value) && !Object.is(value, -0);
}

function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  // A plain object of any realm; one of the user's with the tag's name cannot be told from ours.
  const isObject = prototype === null || Object.getPrototypeOf(prototype) === null;
  return isObject && !(tag in value && Object.keys(value).length === 1);
}

function nameOf(value: object): string {
  const { constructor } = value as { readonly constructor?: { readonly name?: string } };
  return `an object of class ${constructor?.name ?? 'unknown'}`;
}

function notJson(aggregate: string, what: string): StreamError {
  return new StreamError({
    code: 'user-function',
    message: `could not keep the accumulator of custom aggregate "${aggregate}": it holds ${what}`,
    hint: 'make it of plain objects, lists, texts, numbers, bigints, true, false and null',
    fields: { aggregate },
  });
}

function revive(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !(tag in value)) return value;
  // With other members beside it, it is the user's.
  if (Object.keys(value).length > 1) return value;
  const text = String(value[tag]);
  return text.endsWith('n') ? BigInt(text.slice(0, -1)) : Number(text);
}
