// Expressions as generated code, with exactly the answers of `expr/interpret.ts`, which states the
// semantics. Numbers, booleans, comparisons and byte-wise string functions allocate nothing; what
// makes a string writes it to the kernel's scratch arena. Columns are loaded before anything else,
// in the caller's scope; operands that need not be known are not evaluated, and failures (int64
// overflow, a lambda that throws) happen only where the interpreter has them too.

import { assert, unreachable } from '../../base/assert.ts';
import type { Expr, FunctionId } from '../../expr/expr.ts';
import { columnsOf } from '../../expr/walk.ts';
import type { UserFunction } from '../../plan/bindings.ts';
import {
  anyNull,
  fromRowValue,
  literalCode,
  named,
  passes,
  scalar,
  zeroCode,
} from './code-values.ts';
import { CodeWriter } from './code.ts';
import type { CodeValue } from './code.ts';
import { compileComparison, equalityCode } from './expression-compare.ts';
import { compileNumeric } from './expression-numeric.ts';
import { compileText } from './expression-text.ts';

export type ExpressionContext = {
  readonly writer: CodeWriter;
  /** Writes the load of a column of the row, once, and gives its value. */
  readonly column: (name: string) => CodeValue;
  readonly functions: ReadonlyMap<FunctionId, UserFunction>;
  /** Writes the making of the row object that a lambda gets, see `rowLiteral`, and names it. */
  readonly row: (columns: readonly string[], writer: CodeWriter) => string;
  /** Code of the `OperatorContext` that lambdas get. */
  readonly ctx: string;
};

/** Writes the statements that evaluate `expr` and gives the value. */
export function compileExpression(expr: Expr, context: ExpressionContext): CodeValue {
  const columns = new Map<string, CodeValue>();
  for (const name of columnsOf(expr)) columns.set(name, context.column(name));
  return compile(expr, { ...context, columns });
}

/** Where one node is written: lazily evaluated operands have a writer of their own. */
type Site = ExpressionContext & { readonly columns: ReadonlyMap<string, CodeValue> };
type Call = Extract<Expr, { kind: 'call' }>;

function compile(expr: Expr, site: Site): CodeValue {
  switch (expr.kind) {
    case 'column': {
      const value = site.columns.get(expr.name);
      assert(value !== undefined, `the column ${expr.name} is loaded`);
      return value;
    }
    case 'literal':
      return literalCode(site.writer, expr.type, expr.value);
    case 'lambda':
      return compileLambda(expr, site);
    case 'call':
      return compileCall(expr, site);
    default:
      return unreachable(expr);
  }
}

function compileLambda(expr: Extract<Expr, { kind: 'lambda' }>, site: Site): CodeValue {
  const { writer } = site;
  const user = site.functions.get(expr.id);
  assert(user !== undefined, `the function ${expr.id} is bound`);
  assert(user.kind === 'scalar', `the function ${expr.id} gives one value`);
  const fn = writer.constant('lambda', user.fn);
  const code = `${fn}(${site.row(expr.columns, writer)}, ${site.ctx})`;
  return fromRowValue(writer, { type: expr.type, code, what: `the lambda "${expr.id}"` });
}

function compileCall(call: Call, site: Site): CodeValue {
  switch (call.fn) {
    case 'and':
      return compileDecision(call, site, false);
    case 'or':
      return compileDecision(call, site, true);
    case 'if':
      return compileIf(call, site);
    case 'coalesce':
      return compileCoalesce(call, site);
    case 'in':
      return compileIn(call, site);
    case 'is-null': {
      const { isNull } = compile(operand(call, 0), site);
      return { kind: 'scalar', type: call.type, code: isNull ?? 'false', isNull: null };
    }
    default:
      return compileStrict(
        call,
        call.args.map((arg) => compile(arg, site)),
        site.writer,
      );
  }
}

function operand(call: Call, index: number): Expr {
  const arg = call.args[index];
  assert(arg !== undefined, `${call.fn} lacks an operand`);
  return arg;
}

/** The functions that are null when an operand is. */
function compileStrict(call: Call, args: readonly CodeValue[], writer: CodeWriter): CodeValue {
  const { fn, type } = call;
  const isNull = anyNull(writer, args);
  const step = { fn, type, args, isNull, writer };
  switch (fn) {
    case 'not': {
      const code = `!${scalar(args[0]!).code}`;
      return { kind: 'scalar', type, code: named(writer, 'not', code), isNull };
    }
    case 'eq':
    case 'ne':
    case 'lt':
    case 'le':
    case 'gt':
    case 'ge':
      return compileComparison({ ...step, fn, exprs: call.args });
    case 'concat':
    case 'lower':
    case 'upper':
    case 'trim':
    case 'length':
    case 'substring':
    case 'starts-with':
    case 'ends-with':
    case 'contains':
    case 'to-string':
      return compileText({ ...step, fn });
    case 'add':
    case 'sub':
    case 'mul':
    case 'div':
    case 'mod':
    case 'neg':
    case 'abs':
    case 'floor':
    case 'ceil':
    case 'round':
    case 'to-float64':
    case 'to-int64':
    case 'to-timestamp':
    case 'date-trunc':
      return compileNumeric({ ...step, fn, nullable: call.nullable, exprs: call.args });
    case 'and':
    case 'or':
    case 'is-null':
    case 'coalesce':
    case 'if':
    case 'in':
      throw new Error(`${fn} is not strict`);
    default:
      return unreachable(fn);
  }
}

/** An operand compiled apart from the rest: its statements go where the operand is needed. */
type Branch = { readonly writer: CodeWriter; readonly value: CodeValue };

function compileBranch(expr: Expr, site: Site): Branch {
  const writer = new CodeWriter(site.writer);
  return { writer, value: compile(expr, { ...site, writer }) };
}

function writeBranch(writer: CodeWriter, branch: Branch): void {
  const text = branch.writer.text();
  if (text !== '') for (const line of text.split('\n')) writer.line(line);
}

/** Three-valued `and` (decided by false) and `or` (decided by true), evaluated left to right. */
function compileDecision(call: Call, site: Site, decisive: boolean): CodeValue {
  const { writer } = site;
  const branches = call.args.map((arg) => compileBranch(arg, site));
  const nullable = branches.some((branch) => branch.value.isNull !== null);
  const result = writer.fresh(call.fn);
  const unknown = nullable ? writer.fresh('none') : null;
  writer.line(`let ${result} = ${!decisive};`);
  if (unknown !== null) writer.line(`let ${unknown} = false;`);
  const label = writer.fresh('decide');
  writer.block(`${label}:`, () => {
    for (const branch of branches) {
      writeBranch(writer, branch);
      const { code, isNull } = scalar(branch.value);
      const decides = decisive ? code : `!${code}`;
      const head =
        isNull === null
          ? `if (${decides})`
          : `if (${isNull}) ${unknown} = true; else if (${decides})`;
      writer.block(head, () => {
        writer.line(`${result} = ${decisive};`);
        if (unknown !== null) writer.line(`${unknown} = false;`);
        writer.line(`break ${label};`);
      });
    }
  });
  return { kind: 'scalar', type: call.type, code: result, isNull: unknown };
}

function compileIf(call: Call, site: Site): CodeValue {
  const { writer } = site;
  const condition = compile(operand(call, 0), site);
  const then = compileBranch(operand(call, 1), site);
  const otherwise =
    call.args.length > 2 ? compileBranch(operand(call, 2), site) : nullBranch(call, site);
  const slot = openSlot(call, writer, [then, otherwise]);
  writer.block(`if (${passes(condition)})`, () => {
    writeBranch(writer, then);
    assign(writer, slot, then.value);
  });
  writer.block('else', () => {
    writeBranch(writer, otherwise);
    assign(writer, slot, otherwise.value);
  });
  return slot;
}

function nullBranch(call: Call, site: Site): Branch {
  const value: CodeValue = { ...zeroCode(site.writer, call.type), isNull: 'true' };
  return { writer: new CodeWriter(site.writer), value };
}

function compileCoalesce(call: Call, site: Site): CodeValue {
  const { writer } = site;
  const branches: Branch[] = [];
  let always = false;
  for (const arg of call.args) {
    if (always) break;
    const branch = compileBranch(arg, site);
    branches.push(branch);
    always = branch.value.isNull === null;
  }
  const slot = openSlot(call, writer, always ? [] : branches);
  const label = writer.fresh('decide');
  writer.block(`${label}:`, () => {
    for (const branch of branches) {
      writeBranch(writer, branch);
      const { isNull } = branch.value;
      if (isNull === null) {
        assign(writer, slot, branch.value);
      } else {
        writer.block(`if (!${isNull})`, () => {
          assign(writer, slot, { ...branch.value, isNull: null });
          writer.line(`break ${label};`);
        });
      }
    }
  });
  return slot;
}

/** Declares the variables of a value that is assigned in branches; null until it is. */
function openSlot(call: Call, writer: CodeWriter, branches: readonly Branch[]): CodeValue {
  const nullable = branches.some((branch) => branch.value.isNull !== null);
  const isNull = nullable ? writer.fresh('none') : null;
  if (isNull !== null) writer.line(`let ${isNull} = true;`);
  const zero = zeroCode(writer, call.type);
  const declare = (hint: string, code: string): string => {
    const name = writer.fresh(hint);
    writer.line(`let ${name} = ${code};`);
    return name;
  };
  if (zero.kind === 'scalar') return { ...zero, code: declare('value', zero.code), isNull };
  const bytes = declare('bytes', zero.bytes);
  const start = declare('start', zero.start);
  return { ...zero, bytes, start, end: declare('end', zero.end), isNull };
}

function assign(writer: CodeWriter, slot: CodeValue, value: CodeValue): void {
  if (slot.isNull !== null) writer.line(`${slot.isNull} = ${value.isNull ?? 'false'};`);
  if (slot.kind === 'span') {
    assert(value.kind === 'span', 'the branches of a conditional have one type');
    writer.line(`${slot.bytes} = ${value.bytes};`);
    writer.line(`${slot.start} = ${value.start};`);
    writer.line(`${slot.end} = ${value.end};`);
    return;
  }
  assert(value.kind === 'scalar', 'the branches of a conditional have one type');
  const widens = value.type.kind === 'int64' && slot.type.kind !== 'int64';
  writer.line(`${slot.code} = ${widens ? `Number(${value.code})` : value.code};`);
}

/** More numbers than this are looked up in a set. */
const comparedNumbersMax = 8;

function compileIn(call: Call, site: Site): CodeValue {
  const { writer } = site;
  const value = compile(operand(call, 0), site);
  const set = numberSet(call);
  if (set !== null && value.kind === 'scalar') {
    const code = `${writer.constant('set', set)}.has(${value.code})`;
    const result = named(writer, 'isIn', code);
    return { kind: 'scalar', type: call.type, code: result, isNull: value.isNull };
  }
  const branches = call.args.slice(1).map((arg) => ({ arg, branch: compileBranch(arg, site) }));
  const nullable =
    value.isNull !== null || branches.some(({ branch }) => branch.value.isNull !== null);
  const result = writer.fresh('isIn');
  const unknown = nullable ? writer.fresh('none') : null;
  writer.line(`let ${result} = false;`);
  if (unknown !== null) writer.line(`let ${unknown} = ${value.isNull ?? 'false'};`);
  const label = writer.fresh('decide');
  const search = (): void => {
    for (const { arg, branch } of branches) {
      writeBranch(writer, branch);
      const { isNull } = branch.value;
      const exprs = [operand(call, 0), arg] as const;
      const equal = equalityCode(writer, [{ ...value, isNull: null }, branch.value], exprs);
      const guarded = isNull === null ? equal : `!${isNull} && ${equal}`;
      if (isNull !== null) writer.line(`if (${isNull}) ${unknown} = true;`);
      writer.block(`if (${guarded})`, () => {
        writer.line(`${result} = true;`);
        if (unknown !== null) writer.line(`${unknown} = false;`);
        writer.line(`break ${label};`);
      });
    }
  };
  writer.block(value.isNull === null ? `${label}:` : `${label}: if (!${value.isNull})`, search);
  return { kind: 'scalar', type: call.type, code: result, isNull: unknown };
}

/** The elements of a long list of plain numbers, else null. */
function numberSet(call: Call): ReadonlySet<number> | null {
  if (call.args.length <= comparedNumbersMax) return null;
  const set = new Set<number>();
  for (const arg of call.args.slice(1)) {
    if (arg.kind !== 'literal' || typeof arg.value !== 'number') return null;
    // A set would find NaN, which is equal to nothing.
    if (!Number.isNaN(arg.value)) set.add(arg.value);
  }
  return operand(call, 0).type.kind === 'int64' ? null : set;
}
