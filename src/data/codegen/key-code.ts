// Keys in generated code: their hash, as `shuffle/hash.ts` has it, and equality with what a table
// holds.

import { unreachable } from '../../base/assert.ts';
import {
  finishHash,
  hashBytes,
  hashInt64,
  hashNumber,
  hashSeed,
  mixHash,
  nullHash,
} from '../shuffle/hash.ts';
import { named, scalar, spanArgs } from './code-values.ts';
import type { CodeValue, CodeWriter } from './code.ts';
import type { KernelContext } from './kernel-context.ts';

/** Code of what one key column gives to `mixHash`. */
export function valueHash(context: KernelContext, value: CodeValue): string {
  const hash = presentHash(context, value);
  return value.isNull === null ? hash : `(${value.isNull} ? ${nullHash} : ${hash})`;
}

function presentHash(context: KernelContext, value: CodeValue): string {
  const { kind } = value.type;
  switch (kind) {
    case 'boolean':
      return `(${scalar(value).code} ? 1 : 0)`;
    case 'int32':
      return scalar(value).code;
    case 'float64':
    case 'timestamp':
      return `${context.share('hashNumber', hashNumber)}(${scalar(value).code})`;
    case 'int64':
      return `${context.share('hashInt64', hashInt64)}(${scalar(value).code})`;
    case 'string':
    case 'json':
      return `${context.share('hashBytes', hashBytes)}(${spanArgs(value)})`;
    default:
      return unreachable(kind);
  }
}

/** Writes the hash of a whole key, given what each column gives, and names it. */
export function keyHash(
  context: KernelContext,
  writer: CodeWriter,
  parts: readonly string[],
): string {
  const mix = context.share('mixHash', mixHash);
  const finish = context.share('finishHash', finishHash);
  const mixed = parts.reduce((hash, part) => `${mix}(${hash}, ${part})`, String(hashSeed));
  return named(writer, 'keyHash', `${finish}(${mixed})`);
}

/** A float64 key as tables hold it: zero has no sign. */
export function plainKey(writer: CodeWriter, value: CodeValue): CodeValue {
  if (value.kind !== 'scalar' || value.type.kind !== 'float64') return value;
  return { ...value, code: named(writer, 'key', `${value.code} + 0`) };
}
