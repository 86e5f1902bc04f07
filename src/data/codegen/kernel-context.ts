// What the generators of one stage's kernel share: where text goes, the user's functions, and the
// live objects that the kernel fills: builders of sinks and exchanges, tables of partials.

import { assert } from '../../base/assert.ts';
import type { Expr, FunctionId } from '../../expr/expr.ts';
import { hasLambda } from '../../expr/walk.ts';
import type { OperatorContext, UserFunction } from '../../plan/bindings.ts';
import type { OperatorId, SinkId, TableId } from '../../plan/logical-plan.ts';
import type { Exchange, ExchangeId, PhysicalPlan, Stage } from '../../plan/physical-plan.ts';
import { blockCount } from '../../plan/routing.ts';
import type { RowObject } from '../../schema/data-type.ts';
import { BatchBuilder } from '../columnar/batch-builder.ts';
import { rowsToBatch } from '../columnar/rows.ts';
import { LookupTable } from '../state/lookup-table.ts';
import type { BroadcastTable } from '../state/broadcast-table.ts';
import type { MergeTable } from '../state/merge-table.ts';
import type { PartialTable } from '../state/partial-table.ts';
import { CodeWriter } from './code.ts';
import type { CodeValue } from './code.ts';
import { compileExpression } from './expression.ts';
import type { RowScope } from './kernel-row.ts';
import { rowLiteral } from './row-literal.ts';
import { UserCalls } from './user-calls.ts';

export type KernelBindings = {
  readonly functions: ReadonlyMap<FunctionId, UserFunction>;
  readonly tables: ReadonlyMap<TableId, readonly RowObject[]>;
};

/** The table of the partition whose task runs. */
export type TableHolder = { table: BroadcastTable | null };

export type KernelOptions = {
  readonly plan: PhysicalPlan;
  readonly stage: Stage;
  readonly bindings: KernelBindings;
  /** Partitions by stage. */
  readonly partitionCounts: readonly number[];
  /** Built tables, shared by the kernels of a worker. */
  readonly lookups: Map<string, LookupTable>;
};

export class KernelContext {
  readonly options: KernelOptions;
  /** Names and scope of the whole module; its text is not used. */
  readonly root: CodeWriter = new CodeWriter();
  /** Statements before the row loop of the function being written. */
  prologue: CodeWriter;
  readonly calls: UserCalls = new UserCalls();
  readonly sinks = new Map<SinkId, BatchBuilder>();
  /** Builders of exchanges that carry rows, by block. */
  readonly rowExchanges = new Map<ExchangeId, readonly BatchBuilder[]>();
  /** Where a broadcast join finds the table of the partition that runs. */
  readonly holder: TableHolder = { table: null };
  readonly partialExchanges = new Map<ExchangeId, PartialTable | MergeTable>();
  /** The function being written has the scanned bytes as `input`. */
  scansInput = false;
  /** The function being written calls a user's function. */
  usesCalls = false;
  readonly #wrapped = new Map<OperatorId, ReadonlyMap<FunctionId, UserFunction>>();
  readonly #contexts = new Map<OperatorId, OperatorContext>();

  constructor(options: KernelOptions) {
    this.options = options;
    this.prologue = new CodeWriter(this.root);
  }

  /** The value of an expression over a row, written to `at.writer`. */
  expression(expr: Expr, at: Place): CodeValue {
    const { writer, row, operator } = at;
    const calls = hasLambda(expr);
    if (calls) this.usesCalls = true;
    return compileExpression(expr, {
      writer,
      column: (name) => row.value(name, writer),
      functions: calls ? this.functionsOf(operator) : noFunctions,
      row: (columns, inner) => rowLiteral(inner, columns, (name) => row.value(name, inner)),
      ctx: calls ? this.operatorContext(operator) : 'undefined',
    });
  }

  /** The user's functions, each saying for which operator it runs. */
  functionsOf(operator: OperatorId): ReadonlyMap<FunctionId, UserFunction> {
    let wrapped = this.#wrapped.get(operator);
    if (wrapped === undefined) {
      wrapped = this.calls.wrapAll(this.options.bindings.functions, operator);
      this.#wrapped.set(operator, wrapped);
    }
    return wrapped;
  }

  /** Name of the `OperatorContext` of an operator. */
  operatorContext(operator: OperatorId): string {
    let context = this.#contexts.get(operator);
    if (context === undefined) {
      context = this.calls.context(operator);
      this.#contexts.set(operator, context);
    }
    return this.share('ctx', context);
  }

  /** The name of a live object, which is put into scope once. */
  share(hint: string, value: unknown): string {
    for (const [name, known] of this.root.scope) if (known === value) return name;
    return this.root.constant(hint, value);
  }

  exchange(id: ExchangeId): Exchange {
    const exchange = this.options.plan.exchanges[id];
    assert(exchange !== undefined, `the plan has exchange ${id}`);
    return exchange;
  }

  /** Blocks that a task gives for the exchange. */
  blockCount(exchange: Exchange): number {
    const count = this.options.partitionCounts[exchange.to];
    assert(count !== undefined && count >= 1, 'every stage has at least one partition');
    return blockCount(exchange, count);
  }

  sinkBuilder(sink: SinkId, schema: BatchBuilder['schema']): BatchBuilder {
    let builder = this.sinks.get(sink);
    if (builder === undefined) {
      builder = new BatchBuilder(schema, 64);
      this.sinks.set(sink, builder);
    }
    return builder;
  }

  exchangeBuilders(exchange: Exchange): readonly BatchBuilder[] {
    let builders = this.rowExchanges.get(exchange.id);
    if (builders === undefined) {
      const length = this.blockCount(exchange);
      builders = Array.from({ length }, () => new BatchBuilder(exchange.schema, 64));
      this.rowExchanges.set(exchange.id, builders);
    }
    return builders;
  }

  /** The table with an index on these columns. */
  lookup(table: TableId, keys: readonly string[]): LookupTable {
    const { plan, bindings, lookups } = this.options;
    const name = JSON.stringify([table, keys]);
    let lookup = lookups.get(name);
    if (lookup === undefined) {
      const spec = plan.tables.find(({ id }) => id === table);
      const rows = bindings.tables.get(table);
      assert(spec !== undefined && rows !== undefined, `the table ${table} is bound`);
      lookup = new LookupTable(tableBatch(spec.schema, rows), keys);
      lookups.set(name, lookup);
    }
    return lookup;
  }
}

/** Where an expression is evaluated. */
export type Place = {
  readonly writer: CodeWriter;
  readonly row: RowScope;
  readonly operator: OperatorId;
};

const noFunctions: ReadonlyMap<FunctionId, UserFunction> = new Map();

function tableBatch(schema: BatchBuilder['schema'], rows: readonly RowObject[]) {
  // Tables are checked when the plan is built; names are paths, whatever the records' own were.
  const fields = schema.fields.map((field) => ({ ...field, path: [field.name] }));
  return rowsToBatch({ fields }, rows, {
    nowMs: 0,
    timeAheadMsMax: Infinity,
    timeField: -1,
    onBad: (error) => assert(false, `a table row is bad: ${error.message}`),
  });
}
