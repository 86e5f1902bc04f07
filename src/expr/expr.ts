// Expressions as a typed, immutable tree: what `e.price.mul(e.quantity)` builds, what rules rewrite
// and kernels compile. Every node carries its type, so nobody infers twice. The semantics are
// SQL's: an operator with a null operand gives null, `and`/`or` are three-valued, a filter passes
// only true. Evaluation itself lives in `interpret.ts` (plain) and `data/codegen` (compiled).

import type { DataType, RowValue } from '../schema/data-type.ts';

export type Expr =
  | {
      readonly kind: 'column';
      readonly name: string;
      readonly type: DataType;
      readonly nullable: boolean;
    }
  | {
      readonly kind: 'literal';
      readonly value: RowValue;
      readonly type: DataType;
      readonly nullable: boolean;
    }
  | {
      readonly kind: 'call';
      readonly fn: FunctionName;
      readonly args: readonly Expr[];
      readonly type: DataType;
      readonly nullable: boolean;
    }
  | {
      /** A user's function of the whole row; opaque to rules. `id` names it in the bindings. */
      readonly kind: 'lambda';
      readonly id: FunctionId;
      /** Columns of the input row that the lambda may read: all of them, unless it says less. */
      readonly columns: readonly string[];
      readonly type: DataType;
      readonly nullable: boolean;
    };

/** Names a user's function in a plan's bindings; never the function itself. */
export type FunctionId = string & { readonly brand: 'FunctionId' };

/**
 * The built-in functions. Arithmetic on int32 and float64 gives float64; on int64 it gives int64
 * and fails with `int64-overflow` rather than wrap. `div` of int64 truncates; by zero it gives null
 * for int64 and IEEE's answer for float64. Timestamps: minus each other give float64 ms, plus or
 * minus a number a timestamp. Strings are compared by UTF-8 bytes, lengths count code points.
 */
export type FunctionName =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'mod'
  | 'neg'
  | 'abs'
  | 'floor'
  | 'ceil'
  | 'round'
  | 'eq'
  | 'ne'
  | 'lt'
  | 'le'
  | 'gt'
  | 'ge'
  | 'and'
  | 'or'
  | 'not'
  | 'is-null'
  | 'coalesce'
  | 'if'
  | 'in'
  | 'concat'
  | 'lower'
  | 'upper'
  | 'trim'
  | 'length'
  | 'substring'
  | 'starts-with'
  | 'ends-with'
  | 'contains'
  | 'to-float64'
  | 'to-int64'
  | 'to-string'
  | 'to-timestamp'
  | 'date-trunc';
