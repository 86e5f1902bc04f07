// Hands conjuncts `column = 'text'` right behind a scan to the scanner, which compares bytes and
// never builds the row. The column stays among the scanned fields. Records that fail still count
// and still move the watermark.

import type { Expr } from '../../expr/expr.ts';
import { conjunctionOf, conjunctsOf } from '../../expr/walk.ts';
import type { ScanInput, StageOperator } from '../physical-plan.ts';

export type ScanAndRoot = {
  readonly scan: ScanInput;
  readonly root: readonly StageOperator[];
};

/** Only where a filter is the scan's one consumer: everyone behind it sees the same rows. */
export function pushEqualities({ scan, root }: ScanAndRoot): ScanAndRoot {
  const [filter] = root;
  if (root.length !== 1 || filter?.kind !== 'filter') return { scan, root };
  const equals: { column: string; value: string }[] = [];
  const kept: Expr[] = [];
  for (const conjunct of conjunctsOf(filter.predicate)) {
    const equality = stringEquality(conjunct);
    if (equality === null) kept.push(conjunct);
    else equals.push(equality);
  }
  if (equals.length === 0) return { scan, root };
  const predicate = conjunctionOf(kept);
  return {
    scan: { ...scan, equals: [...scan.equals, ...equals] },
    root: predicate === null ? filter.next : [{ ...filter, predicate }],
  };
}

function stringEquality(expr: Expr): { column: string; value: string } | null {
  if (expr.kind !== 'call' || expr.fn !== 'eq') return null;
  const [a, b] = expr.args;
  const column = a?.kind === 'column' ? a : b;
  const literal = a?.kind === 'column' ? b : a;
  if (column?.kind !== 'column' || column.type.kind !== 'string') return null;
  if (literal?.kind !== 'literal' || typeof literal.value !== 'string') return null;
  return { column: column.name, value: literal.value };
}
