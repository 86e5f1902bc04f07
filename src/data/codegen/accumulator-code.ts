// One row into one accumulator, in generated code: arithmetic on the accumulator's arrays where it
// has any, a call of its `add` where it keeps objects.

import { unreachable } from '../../base/assert.ts';
import { canonicalJson } from '../../base/canonical-json.ts';
import type { AggregateCall } from '../../plan/logical-plan.ts';
import type { Accumulator } from '../state/accumulator.ts';
import { named, scalar, spanArgs, toRowValue } from './code-values.ts';
import type { CodeValue } from './code.ts';
import type { KernelContext, Place } from './kernel-context.ts';
import type { ReloadedLocals } from './reloaded-locals.ts';
import { rowLiteral } from './row-literal.ts';

export type AccumulatorSite = {
  readonly context: KernelContext;
  readonly locals: ReloadedLocals;
  /** Code of the accumulator. */
  readonly name: string;
  readonly at: Place;
};

type Target = { readonly call: AggregateCall; readonly accumulator: Accumulator };

export class AccumulatorCode {
  readonly #site: AccumulatorSite;
  readonly #target: Target;

  constructor(site: AccumulatorSite, target: Target) {
    this.#site = site;
    this.#target = target;
  }

  /** Declares the locals that `add` uses. */
  declare(): void {
    const { values, valid } = cellsUsed(this.#target.accumulator);
    for (const index of values) this.#values(index);
    for (const index of valid) this.#valid(index);
  }

  /** Writes the adding of the row at `at` to a group. */
  add(group: string, time: string): void {
    const { context, at } = this.#site;
    const { call, accumulator } = this.#target;
    if (accumulator.kind === 'custom') {
      context.usesCalls = true;
      const columns = call.args.flatMap((arg) => (arg.kind === 'column' ? [arg.name] : []));
      for (const column of columns) at.row.value(column, at.writer);
      const row = rowLiteral(at.writer, columns, (column) => at.row.value(column, at.writer));
      at.writer.line(`${this.#name()}.add(${group}, ${row});`);
      return;
    }
    const args = call.args.map((arg) => context.expression(arg, at));
    const nulls = args.map(({ isNull }) => isNull).filter((code) => code !== null);
    const present = args.map((arg): CodeValue => ({ ...arg, isNull: null }));
    const write = (): void => this.#addPresent(group, time, present);
    if (nulls.length === 0) write();
    else at.writer.block(`if (!(${nulls.join(' || ')}))`, write);
  }

  #name(): string {
    return this.#site.name;
  }

  #addPresent(group: string, time: string, args: readonly CodeValue[]): void {
    const { writer } = this.#site.at;
    const { accumulator } = this.#target;
    const name = this.#name();
    switch (accumulator.kind) {
      case 'count':
        return writer.line(`${this.#values(0)}[${group}] += 1;`);
      case 'sum':
        writer.line(`${this.#values(0)}[${group}] += ${number(args[0]!)};`);
        return writer.line(`${this.#valid(0)}[${group}] = 1;`);
      case 'sum-int64':
        return writer.line(`${name}.add(${group}, ${scalar(args[0]!).code});`);
      case 'avg':
        if (accumulator.sums.kind === 'int64') {
          return writer.line(`${name}.addInt64(${group}, ${scalar(args[0]!).code});`);
        }
        writer.line(`${this.#values(0)}[${group}] += ${number(args[0]!)};`);
        return writer.line(`${this.#values(1)}[${group}] += 1;`);
      case 'extreme':
        return this.#extreme(group, args[0]!, accumulator.fn);
      case 'first-or-last':
        return this.#firstOrLast(group, time, args[0]!);
      case 'extreme-span':
        return writer.line(`${name}.add(${group}, ${spanArgs(args[0]!)});`);
      case 'first-or-last-span':
        return writer.block(`if (${name}.takes(${group}, ${time}))`, () => {
          const { bytes, start, end } = args[0] as Extract<CodeValue, { kind: 'span' }>;
          writer.line(`${name}.put(${group}, ${time}, ${bytes}.slice(${start}, ${end}));`);
        });
      case 'distinct':
        return writer.line(`${name}.add(${group}, ${this.#distinctValue(args[0]!)});`);
      case 'approx-distinct':
        return writer.line(this.#approxAdd(group, args[0]!));
      case 'top-k': {
        const values = args.map((arg) => toRowValue(writer, arg));
        return writer.line(`${name}.add(${group}, ${values.join(', ')});`);
      }
      case 'custom':
        return;
      default:
        return unreachable(accumulator);
    }
  }

  /** NaN is the greatest number, as in `Extreme`. */
  #extreme(group: string, arg: CodeValue, fn: 'min' | 'max'): void {
    const { writer } = this.#site.at;
    const value = stored(arg);
    const best = `${this.#values(0)}[${group}]`;
    const valid = `${this.#valid(0)}[${group}]`;
    const isFloat = arg.type.kind === 'float64';
    const isBetter =
      fn === 'min'
        ? `${value} < ${best}${isFloat ? ` || ${best} !== ${best}` : ''}`
        : `${value} > ${best}${isFloat ? ` || ${value} !== ${value}` : ''}`;
    writer.block(`if (${valid} === 0 || ${isBetter})`, () => {
      writer.line(`${best} = ${value};`);
      writer.line(`${valid} = 1;`);
    });
  }

  #firstOrLast(group: string, time: string, arg: CodeValue): void {
    const { writer } = this.#site.at;
    const { accumulator } = this.#target;
    const times = `${this.#values(1)}[${group}]`;
    const order = 'fn' in accumulator && accumulator.fn === 'first' ? '<' : '>=';
    writer.block(`if (${this.#valid(1)}[${group}] === 0 || ${time} ${order} ${times})`, () => {
      writer.line(`${this.#values(0)}[${group}] = ${stored(arg)};`);
      writer.line(`${this.#valid(0)}[${group}] = 1;`);
      writer.line(`${times} = ${time};`);
      writer.line(`${this.#valid(1)}[${group}] = 1;`);
    });
  }

  /** Canonical texts of json values stand for the values. */
  #distinctValue(arg: CodeValue): string {
    const { context, at } = this.#site;
    const value = toRowValue(at.writer, arg);
    if (arg.type.kind !== 'json') return named(at.writer, 'value', value);
    return named(at.writer, 'value', `${context.share('canonicalJson', canonicalJson)}(${value})`);
  }

  #approxAdd(group: string, arg: CodeValue): string {
    const name = this.#name();
    if (arg.kind === 'span') return `${name}.addSpan(${group}, ${spanArgs(arg)});`;
    if (arg.type.kind === 'int64') return `${name}.addInt64(${group}, ${arg.code});`;
    return `${name}.addNumber(${group}, ${stored(arg)});`;
  }

  #values(index: number): string {
    return this.#site.locals.local('values', `${this.#site.name}.cells[${index}].values`);
  }

  #valid(index: number): string {
    return this.#site.locals.local('valid', `${this.#site.name}.cells[${index}].valid`);
  }
}

/** A value as cells hold it. */
function stored(value: CodeValue): string {
  const { code } = scalar(value);
  return value.type.kind === 'boolean' ? `(${code} ? 1 : 0)` : code;
}

function number(value: CodeValue): string {
  const { code } = scalar(value);
  return value.type.kind === 'int64' ? `Number(${code})` : code;
}

/** Indices of the cells whose arrays generated code works on; the others have methods. */
function cellsUsed(accumulator: Accumulator): {
  readonly values: readonly number[];
  readonly valid: readonly number[];
} {
  switch (accumulator.kind) {
    case 'count':
      return { values: [0], valid: [] };
    case 'avg':
      return { values: accumulator.sums.kind === 'int64' ? [] : [0, 1], valid: [] };
    case 'sum':
    case 'extreme':
      return { values: [0], valid: [0] };
    case 'first-or-last':
      return { values: [0, 1], valid: [0, 1] };
    default:
      return { values: [], valid: [] };
  }
}
