// Small steps that every generator of code takes: naming a value, joining nulls, literals, values
// of TypeScript rows in and out. What is written here is the text of a kernel.

import { unreachable } from '../../base/assert.ts';
import { StreamError } from '../../base/stream-error.ts';
import type { DataType, RowValue } from '../../schema/data-type.ts';
import { jsonText } from '../columnar/rows.ts';
import { decodeUtf8, encodeUtf8 } from '../columnar/utf8.ts';
import type { CodeValue, CodeWriter } from './code.ts';
import { arenaOf } from './scratch-arena.ts';
import { TextCache } from './text-cache.ts';

export type SpanCode = Extract<CodeValue, { kind: 'span' }>;
export type ScalarCode = Extract<CodeValue, { kind: 'scalar' }>;

/** Writes `const name = code;` and gives the name. */
export function named(writer: CodeWriter, hint: string, code: string): string {
  const name = writer.fresh(hint);
  writer.line(`const ${name} = ${code};`);
  return name;
}

/** The name of a live object in the kernel's scope, where it is put once. */
export function shared(writer: CodeWriter, hint: string, value: unknown): string {
  for (const [name, known] of writer.scope) if (known === value) return name;
  return writer.constant(hint, value);
}

/** Code that holds where one of the values is null; null when none can be. */
export function anyNull(writer: CodeWriter, values: readonly CodeValue[]): string | null {
  const nulls = new Set(values.map((value) => value.isNull).filter((code) => code !== null));
  if (nulls.has('true')) return 'true';
  if (nulls.size < 2) return [...nulls][0] ?? null;
  return named(writer, 'none', [...nulls].join(' || '));
}

/** Code that is true where a boolean is true, and false where it is false or null. */
export function passes(value: CodeValue): string {
  const { code, isNull } = scalar(value);
  return isNull === null ? code : `(!${isNull} && ${code})`;
}

export function scalar(value: CodeValue): ScalarCode {
  if (value.kind === 'scalar') return value;
  throw new Error(`a ${value.type.kind} is no scalar`);
}

export function span(value: CodeValue): SpanCode {
  if (value.kind === 'span') return value;
  throw new Error(`a ${value.type.kind} is no span`);
}

/** The three arguments that a span is to a function. */
export function spanArgs(value: CodeValue): string {
  const { bytes, start, end } = span(value);
  return `${bytes}, ${start}, ${end}`;
}

export function isSpanType(type: DataType): boolean {
  return type.kind === 'string' || type.kind === 'json';
}

/** A value from the plan, written out; strings become bytes in the kernel's scope. */
export function literalCode(writer: CodeWriter, type: DataType, value: RowValue): CodeValue {
  if (value === null) return { ...zeroCode(writer, type), isNull: 'true' };
  switch (type.kind) {
    case 'boolean':
      return { kind: 'scalar', type, code: String(value === true), isNull: null };
    case 'int32':
    case 'float64':
    case 'timestamp':
      return { kind: 'scalar', type, code: numberText(Number(value)), isNull: null };
    case 'int64':
      return { kind: 'scalar', type, code: `(${BigInt(value as bigint)}n)`, isNull: null };
    case 'string':
    case 'json': {
      const text = type.kind === 'json' ? JSON.stringify(value) : String(value);
      const bytes = encodeUtf8(text);
      const end = String(bytes.length);
      const name = writer.constant('literal', bytes);
      return { kind: 'span', type, bytes: name, start: '0', end, isNull: null };
    }
    default:
      return unreachable(type);
  }
}

function numberText(value: number): string {
  if (Object.is(value, -0)) return '(-0)';
  return value < 0 ? `(${value})` : String(value);
}

const emptyBytes = new Uint8Array(0);

/** Some value of the type: what stands under a null. */
export function zeroCode(writer: CodeWriter, type: DataType): CodeValue {
  if (isSpanType(type)) {
    const bytes = shared(writer, 'empty', emptyBytes);
    return { kind: 'span', type, bytes, start: '0', end: '0', isNull: null };
  }
  const code = type.kind === 'boolean' ? 'false' : type.kind === 'int64' ? '0n' : '0';
  return { kind: 'scalar', type, code, isNull: null };
}

/** What the arena got since it was `start` long, as a value; written behind what filled it. */
export function arenaSpan(
  writer: CodeWriter,
  type: DataType,
  start: string,
  isNull: string | null,
): SpanCode {
  const arena = arenaOf(writer);
  // After the last append: growing replaces the bytes.
  const bytes = named(writer, 'made', `${arena}.bytes`);
  const end = named(writer, 'madeEnd', `${arena}.length`);
  return { kind: 'span', type, bytes, start, end, isNull };
}

/** Code that makes the value a row in TypeScript has; strings are decoded. */
export function toRowValue(writer: CodeWriter, value: CodeValue): string {
  const code = presentRowValue(writer, value);
  return value.isNull === null ? code : `(${value.isNull} ? null : ${code})`;
}

function presentRowValue(writer: CodeWriter, value: CodeValue): string {
  if (value.kind === 'scalar') return value.code;
  if (value.type.kind === 'json') {
    return `JSON.parse(${shared(writer, 'decodeUtf8', decodeUtf8)}(${spanArgs(value)}))`;
  }
  return `${writer.constant('texts', new TextCache())}.decode(${spanArgs(value)})`;
}

export type FromRowValue = {
  readonly type: DataType;
  /** Code of the JavaScript value; evaluated once. */
  readonly code: string;
  /** Who gave the value, for the error: `the lambda "f"`, `column "total" of map`. */
  readonly what: string;
};

/**
 * Takes a value from a user's function: null and undefined are null, a value that is not of the
 * type throws `lambda-type`. Timestamps are floored to whole milliseconds.
 */
export function fromRowValue(writer: CodeWriter, from: FromRowValue): CodeValue {
  const { type } = from;
  const given = named(writer, 'given', from.code);
  const isNull = named(writer, 'none', `${given} === null || ${given} === undefined`);
  const refuse = writer.constant('refuse', (value: unknown) => refuseValue(from, value));
  const take = (isType: string, code: string, zero: string): CodeValue => {
    const present = `${isType} ? ${code} : ${refuse}(${given})`;
    const name = named(writer, 'taken', `${isNull} ? ${zero} : ${present}`);
    return { kind: 'scalar', type, code: name, isNull };
  };
  switch (type.kind) {
    case 'boolean':
      return take(`typeof ${given} === 'boolean'`, given, 'false');
    case 'int32':
      return take(`typeof ${given} === 'number' && (${given} | 0) === ${given}`, given, '0');
    case 'float64':
      return take(`typeof ${given} === 'number'`, given, '0');
    case 'timestamp':
      return take(
        `typeof ${given} === 'number' && ${given} - ${given} === 0`,
        `Math.floor(${given})`,
        '0',
      );
    case 'int64':
      return take(
        `typeof ${given} === 'bigint' && BigInt.asIntN(64, ${given}) === ${given}`,
        given,
        '0n',
      );
    case 'string':
    case 'json': {
      const arena = arenaOf(writer);
      const start = named(writer, 'madeStart', `${arena}.length`);
      const text =
        type.kind === 'json'
          ? named(writer, 'text', `${shared(writer, 'jsonText', jsonText)}(${given})`)
          : given;
      const checked = `typeof ${text} === 'string' ? ${text} : ${refuse}(${given})`;
      writer.line(`if (!${isNull}) ${arena}.appendText(${checked});`);
      return arenaSpan(writer, type, start, isNull);
    }
    default:
      return unreachable(type);
  }
}

function refuseValue(from: FromRowValue, value: unknown): never {
  const shown = typeof value === 'bigint' ? `${value}n` : (jsonText(value) ?? typeof value);
  throw new StreamError({
    code: 'lambda-type',
    message: `${from.what} gave ${shown.slice(0, 60)}, which is no ${from.type.kind}`,
    hint: 'return a value of the declared type, or null',
  });
}
