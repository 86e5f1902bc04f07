// String functions as generated code. Parts of a string are spans of the same bytes; only what has
// to be a new string goes to the scratch arena.

import { unreachable } from '../../base/assert.ts';
import { isoText } from '../../expr/iso-time.ts';
import type { DataType, JsonValue } from '../../schema/data-type.ts';
import { decodeUtf8 } from '../columnar/utf8.ts';
import { arenaSpan, named, scalar, shared, span, spanArgs } from './code-values.ts';
import type { CodeValue, CodeWriter } from './code.ts';
import { arenaOf } from './scratch-arena.ts';
import type { ScratchArena } from './scratch-arena.ts';
import {
  appendLower,
  appendNumberText,
  appendUpper,
  spanContains,
  spanEndsWith,
  spanLength,
  spanSkip,
  spanStartsWith,
  spanTrimEnd,
  spanTrimStart,
} from './span.ts';

export type TextStep = {
  readonly fn:
    | 'concat'
    | 'lower'
    | 'upper'
    | 'trim'
    | 'length'
    | 'substring'
    | 'starts-with'
    | 'ends-with'
    | 'contains'
    | 'to-string';
  readonly type: DataType;
  readonly args: readonly CodeValue[];
  readonly isNull: string | null;
  readonly writer: CodeWriter;
};

export function compileText(step: TextStep): CodeValue {
  const { fn, writer } = step;
  switch (fn) {
    case 'concat':
      return made(step, (arena) => {
        for (const arg of step.args) writer.line(`${arena}.append(${spanArgs(arg)});`);
      });
    case 'lower':
      return made(step, (arena) =>
        appendBy(step, arena, shared(writer, 'appendLower', appendLower)),
      );
    case 'upper':
      return made(step, (arena) =>
        appendBy(step, arena, shared(writer, 'appendUpper', appendUpper)),
      );
    case 'trim':
      return trim(step);
    case 'substring':
      return substring(step);
    case 'length': {
      const count = `${shared(writer, 'spanLength', spanLength)}(${spanArgs(step.args[0]!)})`;
      const code = step.type.kind === 'int64' ? `BigInt(${count})` : count;
      return {
        kind: 'scalar',
        type: step.type,
        code: named(writer, 'length', code),
        isNull: step.isNull,
      };
    }
    case 'starts-with':
      return test(step, shared(writer, 'spanStartsWith', spanStartsWith));
    case 'ends-with':
      return test(step, shared(writer, 'spanEndsWith', spanEndsWith));
    case 'contains':
      return test(step, shared(writer, 'spanContains', spanContains));
    case 'to-string':
      return toText(step);
    default:
      return unreachable(fn);
  }
}

/** A string that `fill` writes into the arena. Under a null it may be any string, such as none. */
function made(step: TextStep, fill: (arena: string) => void): CodeValue {
  const { isNull, type, writer } = step;
  const arena = arenaOf(writer);
  const start = named(writer, 'madeStart', `${arena}.length`);
  if (isNull === null) fill(arena);
  else writer.block(`if (!${isNull})`, () => fill(arena));
  return arenaSpan(writer, type, start, isNull);
}

function appendBy(step: TextStep, arena: string, append: string): void {
  step.writer.line(`${append}(${arena}, ${spanArgs(step.args[0]!)});`);
}

function test(step: TextStep, name: string): CodeValue {
  const [text, part] = step.args;
  const code = `${name}(${spanArgs(text!)}, ${spanArgs(part!)})`;
  const result = named(step.writer, 'test', code);
  return { kind: 'scalar', type: step.type, code: result, isNull: step.isNull };
}

function trim(step: TextStep): CodeValue {
  const { type, isNull, writer } = step;
  const { bytes, start, end } = span(step.args[0]!);
  const trimStart = shared(writer, 'spanTrimStart', spanTrimStart);
  const trimEnd = shared(writer, 'spanTrimEnd', spanTrimEnd);
  const from = named(writer, 'start', `${trimStart}(${bytes}, ${start}, ${end})`);
  const to = named(writer, 'end', `${trimEnd}(${bytes}, ${from}, ${end})`);
  return { kind: 'span', type, bytes, start: from, end: to, isNull };
}

function substring(step: TextStep): CodeValue {
  const { type, isNull, writer } = step;
  const { bytes, start, end } = span(step.args[0]!);
  const skip = shared(writer, 'spanSkip', spanSkip);
  const points = (value: CodeValue): string => {
    const { code } = scalar(value);
    return value.type.kind === 'int64' ? `Number(${code})` : code;
  };
  const first = points(step.args[1]!);
  const from = named(writer, 'start', `${skip}(${bytes}, ${start}, ${end}, ${first})`);
  const length = step.args[2];
  if (length === undefined) return { kind: 'span', type, bytes, start: from, end, isNull };
  const to = named(writer, 'end', `${skip}(${bytes}, ${from}, ${end}, ${points(length)})`);
  return { kind: 'span', type, bytes, start: from, end: to, isNull };
}

function toText(step: TextStep): CodeValue {
  const { type, writer } = step;
  const arg = step.args[0]!;
  const { kind } = arg.type;
  switch (kind) {
    case 'string':
      return { ...arg, type, isNull: step.isNull };
    case 'json':
      return made(step, (arena) => appendBy(step, arena, shared(writer, 'appendJson', appendJson)));
    case 'int32':
    case 'float64':
      return made(step, (arena) => {
        const append = shared(writer, 'appendNumberText', appendNumberText);
        writer.line(`${append}(${arena}, ${scalar(arg).code});`);
      });
    case 'int64':
    case 'boolean':
      return made(step, (arena) => {
        writer.line(`${arena}.appendText(String(${scalar(arg).code}));`);
      });
    case 'timestamp':
      return made(step, (arena) => {
        const iso = shared(writer, 'isoText', isoText);
        writer.line(`${arena}.appendText(${iso}(${scalar(arg).code}));`);
      });
    default:
      return unreachable(kind);
  }
}

/** The value's text as JSON.stringify writes it: without the spaces it came with. */
function appendJson(arena: ScratchArena, bytes: Uint8Array, start: number, end: number): void {
  const value = JSON.parse(decodeUtf8(bytes, start, end)) as JsonValue;
  arena.appendText(JSON.stringify(value));
}
