// Comparisons as generated code: strings by their bytes, numbers of mixed kinds by value.

import { assert } from '../../base/assert.ts';
import type { Expr } from '../../expr/expr.ts';
import type { DataType } from '../../schema/data-type.ts';
import { encodeUtf8 } from '../columnar/utf8.ts';
import { named, shared, spanArgs, toRowValue } from './code-values.ts';
import type { SpanCode } from './code-values.ts';
import type { CodeValue, CodeWriter } from './code.ts';
import { spanCompare, spanEquals } from './span.ts';

export type ComparisonStep = {
  readonly fn: 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge';
  readonly type: DataType;
  readonly args: readonly CodeValue[];
  readonly exprs: readonly Expr[];
  readonly isNull: string | null;
  readonly writer: CodeWriter;
};

export function compileComparison(step: ComparisonStep): CodeValue {
  const { fn, type, isNull, writer } = step;
  const [a, b] = step.args as readonly [CodeValue, CodeValue];
  const [left, right] = step.exprs as readonly [Expr, Expr];
  const code =
    fn === 'eq' || fn === 'ne'
      ? equalityCode(writer, [a, b], [left, right])
      : orderCode(writer, operators[fn], [a, b]);
  // Decoding what stands under a null could throw.
  const guard = isNull !== null && (isJson(a) || isJson(b)) ? `!${isNull} && ` : '';
  const result = named(writer, fn, fn === 'ne' ? `!(${guard}${code})` : `${guard}${code}`);
  return { kind: 'scalar', type, code: result, isNull };
}

const operators = { lt: '<', le: '<=', gt: '>', ge: '>=' } as const;

function orderCode(
  writer: CodeWriter,
  operator: '<' | '<=' | '>' | '>=',
  [a, b]: readonly [CodeValue, CodeValue],
): string {
  if (a.kind === 'scalar' && b.kind === 'scalar') return `${a.code} ${operator} ${b.code}`;
  const compare = shared(writer, 'spanCompare', spanCompare);
  return `${compare}(${spanArgs(a)}, ${spanArgs(b)}) ${operator} 0`;
}

/** Code that is true where two values, neither null, are equal. */
export function equalityCode(
  writer: CodeWriter,
  [a, b]: readonly [CodeValue, CodeValue],
  [left, right]: readonly [Expr, Expr],
): string {
  if (isJson(a) || isJson(b)) {
    const [x, y] = [present(a), present(b)];
    return `${toRowValue(writer, x)} === ${toRowValue(writer, y)}`;
  }
  if (a.kind === 'scalar' && b.kind === 'scalar') {
    const mixed = (a.type.kind === 'int64') !== (b.type.kind === 'int64');
    return `${a.code} ${mixed ? '==' : '==='} ${b.code}`;
  }
  assert(a.kind === 'span' && b.kind === 'span', 'strings are compared with strings');
  const leftBytes = literalBytes(left);
  const rightBytes = literalBytes(right);
  if (rightBytes !== null) return literalEquality(a, rightBytes);
  if (leftBytes !== null) return literalEquality(b, leftBytes);
  return `${shared(writer, 'spanEquals', spanEquals)}(${spanArgs(a)}, ${spanArgs(b)})`;
}

function isJson(value: CodeValue): boolean {
  return value.type.kind === 'json';
}

function present(value: CodeValue): CodeValue {
  return { ...value, isNull: null };
}

/** Longer literals are compared by a loop: code that no cache holds is slow. */
const unrolledBytesMax = 48;

function literalBytes(expr: Expr): Uint8Array | null {
  if (expr.kind !== 'literal' || typeof expr.value !== 'string') return null;
  const bytes = encodeUtf8(expr.value);
  return bytes.length <= unrolledBytesMax ? bytes : null;
}

/** Length first, then the last byte, in which values that share a prefix differ. */
function literalEquality(value: SpanCode, bytes: Uint8Array): string {
  const { start, end } = value;
  const tests = Array.from(
    bytes,
    (byte, index) => `${value.bytes}[${start} + ${index}] === ${byte}`,
  );
  const last = tests.pop();
  const all = last === undefined ? tests : [last, ...tests];
  return [`${end} - ${start} === ${bytes.length}`, ...all].join(' && ');
}
