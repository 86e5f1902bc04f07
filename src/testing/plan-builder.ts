// Logical plans by hand, for the planner's and the kernels' own tests: no types are inferred and
// nothing is checked. Users have the API for this.

import { assert } from '../base/assert.ts';
import type { Expr, FunctionId, FunctionName } from '../expr/expr.ts';
import type {
  AggregateCall,
  AggregateFunction,
  AggregateSpec,
  Column,
  LogicalKind,
  LogicalOperator,
  LogicalPlan,
  OperatorId,
  SinkId,
  SinkSpec,
  SourceId,
  SourceSpec,
  TableId,
  TableSpec,
  WatermarkSpec,
} from '../plan/logical-plan.ts';
import type { DataKind, DataType, Field, RowSchema, RowValue } from '../schema/data-type.ts';

export function typeOf(kind: DataKind): DataType {
  return kind === 'timestamp' ? { kind, encoding: 'ms' } : { kind };
}

/** `int64?` is nullable. */
export type TypeName = DataKind | `${DataKind}?`;

export function fieldOf(name: string, type: TypeName): Field {
  const kind = type.replace('?', '') as DataKind;
  return { name, path: [name], type: typeOf(kind), nullable: type.endsWith('?') };
}

export function schemaOf(columns: { readonly [name: string]: TypeName }): RowSchema {
  return { fields: Object.entries(columns).map(([name, type]) => fieldOf(name, type)) };
}

export function column(name: string, type: TypeName): Expr {
  const { type: dataType, nullable } = fieldOf(name, type);
  return { kind: 'column', name, type: dataType, nullable };
}

export function literal(value: RowValue, type: TypeName): Expr {
  return { kind: 'literal', value, type: fieldOf('', type).type, nullable: value === null };
}

export function call(fn: FunctionName, type: TypeName, ...args: readonly Expr[]): Expr {
  const { type: dataType, nullable } = fieldOf('', type);
  return { kind: 'call', fn, args, type: dataType, nullable };
}

export function lambda(id: string, type: TypeName, columns: readonly string[]): Expr {
  const { type: dataType, nullable } = fieldOf('', type);
  return { kind: 'lambda', id: id as FunctionId, columns, type: dataType, nullable };
}

export function aggregateCall(
  name: string,
  fn: AggregateFunction,
  options: {
    readonly args?: readonly Expr[];
    readonly type?: TypeName;
    readonly k?: number;
    readonly custom?: string;
  } = {},
): AggregateCall {
  const { type, nullable } = fieldOf(name, options.type ?? 'float64');
  const custom = options.custom === undefined ? null : (options.custom as FunctionId);
  return { name, fn, args: options.args ?? [], k: options.k ?? null, custom, type, nullable };
}

export type SourceOptions = {
  readonly time?: string;
  readonly watermark?: Partial<WatermarkSpec>;
  readonly format?: SourceSpec['format'];
};

/** A handle on an operator: what the next one is built upon. */
export type Rows = { readonly id: OperatorId; readonly schema: RowSchema };

export class PlanBuilder {
  readonly #name: string;
  readonly #operators: LogicalOperator[] = [];
  readonly #sources: SourceSpec[] = [];
  readonly #sinks: SinkSpec[] = [];
  readonly #tables: TableSpec[] = [];
  readonly #functions = new Map<string, string>();

  constructor(name: string) {
    this.#name = name;
  }

  plan(): LogicalPlan {
    return {
      name: this.#name,
      operators: this.#operators,
      sources: this.#sources,
      sinks: this.#sinks,
      tables: this.#tables,
      functions: Array.from(this.#functions, ([id, source]) => ({ id: id as FunctionId, source })),
    };
  }

  /** Lists a function's text, for the hash and for explain. */
  fn(id: string, source: string): FunctionId {
    this.#functions.set(id, source);
    return id as FunctionId;
  }

  source(name: string, schema: RowSchema, options: SourceOptions = {}): Rows {
    const timeColumn = options.time ?? null;
    this.#sources.push({
      id: name as SourceId,
      name,
      description: `memory ${name}`,
      schema,
      format: options.format ?? { kind: 'json-lines' },
      timeColumn,
      watermark: {
        delayMs: 0,
        idleMs: null,
        aheadMsMax: 86_400_000,
        ...options.watermark,
      },
      onError: 'fail',
      deadLetter: null,
    });
    return this.#add(schema, timeColumn, { kind: 'source', source: name as SourceId });
  }

  filter(input: Rows, predicate: Expr): Rows {
    return this.#add(input.schema, this.#timeOf(input), {
      kind: 'filter',
      input: input.id,
      predicate,
    });
  }

  project(input: Rows, columns: { readonly [name: string]: Expr }): Rows {
    const list: Column[] = Object.entries(columns).map(([name, expr]) => ({ name, expr }));
    const fields = list.map(({ name, expr: { type, nullable } }) => ({
      name,
      path: [name],
      type,
      nullable,
    }));
    const time = this.#timeOf(input);
    const passed = list.find(({ expr }) => expr.kind === 'column' && expr.name === time);
    const kind: LogicalKind = { kind: 'project', input: input.id, columns: list };
    return this.#add({ fields }, passed?.name ?? null, kind);
  }

  map(input: Rows, fn: FunctionId, schema: RowSchema, columns?: readonly string[]): Rows {
    const kind = { kind: 'map', input: input.id, fn } as const;
    return this.#add(schema, null, columns === undefined ? kind : { ...kind, columns });
  }

  flatMap(input: Rows, fn: FunctionId, schema: RowSchema): Rows {
    return this.#add(schema, null, { kind: 'flat-map', input: input.id, fn });
  }

  union(...inputs: readonly Rows[]): Rows {
    const [first] = inputs;
    return this.#add(first.schema, this.#timeOf(first), {
      kind: 'union',
      inputs: inputs.map((input) => input.id),
    });
  }

  table(name: string, schema: RowSchema, rowCount: number): TableId {
    const id = name as TableId;
    this.#tables.push({ id, name, schema, rowCount, contentHash: `hash of ${name}` });
    return id;
  }

  join(
    input: Rows,
    table: TableId,
    options: {
      readonly how?: 'inner' | 'left';
      /** Table column, and what it equals. */
      readonly on: { readonly [right: string]: Expr };
      /** New name, and the table column. */
      readonly add: { readonly [name: string]: string };
    },
  ): Rows {
    const how = options.how ?? 'inner';
    const spec = this.#tables.find((entry) => entry.id === table);
    assert(spec !== undefined, `no table ${table}`);
    const columns = Object.entries(options.add).map(([name, from]) => ({ name, column: from }));
    const added = columns.map(({ name, column: from }): Field => {
      const field = spec.schema.fields.find((candidate) => candidate.name === from);
      assert(field !== undefined, `no column ${from} in ${table}`);
      return { ...field, name, path: [name], nullable: field.nullable || how === 'left' };
    });
    const keys = Object.entries(options.on).map(([right, left]) => ({ left, right }));
    const schema = { fields: [...input.schema.fields, ...added] };
    const kind: LogicalKind = { kind: 'join', input: input.id, table, how, keys, columns };
    return this.#add(schema, this.#timeOf(input), kind);
  }

  broadcastJoin(
    input: Rows,
    right: Rows,
    options: {
      readonly how?: 'inner' | 'left';
      /** Broadcast column, and what it equals. */
      readonly on: { readonly [right: string]: Expr };
      /** New name, and the broadcast column. */
      readonly add: { readonly [name: string]: string };
    },
  ): Rows {
    const how = options.how ?? 'inner';
    const columns = Object.entries(options.add).map(([name, from]) => ({ name, column: from }));
    const added = columns.map(({ name, column: from }): Field => {
      const field = right.schema.fields.find((candidate) => candidate.name === from);
      assert(field !== undefined, `no column ${from} is broadcast`);
      return { ...field, name, path: [name], nullable: field.nullable || how === 'left' };
    });
    const keys = Object.entries(options.on).map(([name, left]) => ({ left, right: name }));
    const schema = { fields: [...input.schema.fields, ...added] };
    const sides = { input: input.id, right: right.id };
    const kind: LogicalKind = { kind: 'broadcast-join', ...sides, how, keys, columns };
    return this.#add(schema, this.#timeOf(input), kind);
  }

  aggregate(
    input: Rows,
    spec: Partial<Omit<AggregateSpec, 'keys'>> & {
      readonly keys?: { readonly [name: string]: Expr };
      readonly fanIn?: number;
    },
  ): Rows {
    const keys = Object.entries(spec.keys ?? {}).map(([name, expr]) => ({ name, expr }));
    const window = spec.window ?? { kind: 'global' };
    const full: AggregateSpec = {
      window,
      aggregates: spec.aggregates ?? [],
      time: spec.time ?? null,
      allowedLatenessMs: spec.allowedLatenessMs ?? 0,
      late: spec.late ?? null,
      emit: spec.emit ?? 'close',
      keys,
    };
    const isWindowed = window.kind !== 'global';
    const bounds = isWindowed ? ['windowStart', 'windowEnd'] : [];
    const fields: Field[] = [
      ...keys.map(({ name, expr }) => ({
        name,
        path: [name],
        type: expr.type,
        nullable: expr.nullable,
      })),
      ...bounds.map((name) => fieldOf(name, 'timestamp')),
      ...full.aggregates.map(({ name, type, nullable }) => ({
        name,
        path: [name],
        type,
        nullable,
      })),
    ];
    const tree = spec.fanIn === undefined ? {} : { fanIn: spec.fanIn };
    const kind: LogicalKind = { kind: 'aggregate', input: input.id, ...tree, ...full };
    return this.#add({ fields }, isWindowed ? 'windowEnd' : null, kind);
  }

  /** A sink that is no operator: for late rows and dead letters. */
  sideSink(name: string, schema: RowSchema): SinkId {
    const id = name as SinkId;
    this.#sinks.push({ id, name, description: `memory ${name}`, schema, partitions: null });
    return id;
  }

  sink(input: Rows, name: string, partitions: 1 | null = null): void {
    const id = name as SinkId;
    const { schema } = input;
    this.#sinks.push({ id, name, description: `memory ${name}`, schema, partitions });
    this.#add(schema, this.#timeOf(input), { kind: 'sink', input: input.id, sink: id });
  }

  #timeOf(rows: Rows): string | null {
    return this.#operators.find((operator) => operator.id === rows.id)?.timeColumn ?? null;
  }

  #add(schema: RowSchema, timeColumn: string | null, kind: LogicalKind): Rows {
    const id = `${kind.kind}-${this.#operators.length}` as OperatorId;
    this.#operators.push({ id, schema, timeColumn, ...kind });
    return { id, schema };
  }
}
