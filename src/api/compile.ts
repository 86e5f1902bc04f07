// From the builder's nodes to the logical plan and its bindings: operators in order of inputs, ids
// by kind and position or by the user's name, functions, tables and sinks under ids of their own.
// All mistakes of the reachable nodes are reported at once.

import { assert } from '../base/assert.ts';
import { StreamError } from '../base/stream-error.ts';
import type { Expr, FunctionId } from '../expr/expr.ts';
import { columnsReadBy } from '../expr/lambda-columns.ts';
import { rewrite } from '../expr/walk.ts';
import type { Bindings, UserFunction } from '../plan/bindings.ts';
import type {
  AggregateCall,
  Column,
  FunctionSpec,
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
} from '../plan/logical-plan.ts';
import type { Sink } from '../ports/sink.ts';
import type { Source } from '../ports/source.ts';
import type { Field, RowObject, RowSchema } from '../schema/data-type.ts';
import { deadLetterSchema } from '../schema/dead-letter.ts';
import type { Mistake } from '../schema/mistake.ts';
import { mistake } from '../schema/mistake.ts';
import type { AggregateNode, NamedAggregate, StreamNode } from './node.ts';
import { inputsOf } from './node.ts';
import { lambdaFunctionOf } from './scope.ts';
import type { Table } from './table.ts';

export type Compiled = {
  readonly plan: LogicalPlan;
  readonly bindings: Bindings<Source, Sink>;
};

/** Throws one StreamError `invalid-pipeline` with all mistakes. */
export function compile(name: string, outputs: readonly StreamNode[]): Compiled {
  const nodes = inOrder(outputs);
  const ids = idsOf(nodes);
  const mistakes = [...mistakesOf(name, nodes), ...nameClashes(nodes, ids), ...sinkClashes(nodes)];
  if (mistakes.length > 0) throw invalidPipeline(name, mistakes);
  const compiler = new Compiler(ids);
  const operators = nodes.map((node) => compiler.operator(node));
  return compiler.finish(name, operators);
}

/** All nodes behind the outputs, inputs first, each once. */
function inOrder(outputs: readonly StreamNode[]): readonly StreamNode[] {
  const seen = new Set<StreamNode>();
  const visit = (node: StreamNode): void => {
    if (seen.has(node)) return;
    for (const input of inputsOf(node)) visit(input);
    seen.add(node);
  };
  for (const output of outputs) visit(output);
  return [...seen];
}

/** Counted by kind, so that an operator of another kind changes no id. */
function idsOf(nodes: readonly StreamNode[]): ReadonlyMap<StreamNode, OperatorId> {
  const counts = new Map<string, number>();
  const ids = new Map<StreamNode, OperatorId>();
  for (const node of nodes) {
    const index = counts.get(node.kind) ?? 0;
    counts.set(node.kind, index + 1);
    ids.set(node, (node.name ?? `${node.kind}#${index}`) as OperatorId);
  }
  return ids;
}

function mistakesOf(name: string, nodes: readonly StreamNode[]): readonly Mistake[] {
  const mistakes: Mistake[] = [];
  if (name === '') mistakes.push(mistake('the pipeline has no name', "as in pipeline('clicks')"));
  if (nodes.length === 0) {
    mistakes.push(mistake('the pipeline has no output', 'end a stream with .to(sink)'));
  }
  // Shared inputs (a table, a schema) carry the same mistake to several nodes.
  return [...new Set([...mistakes, ...nodes.flatMap((node) => node.mistakes)])];
}

function nameClashes(
  nodes: readonly StreamNode[],
  ids: ReadonlyMap<StreamNode, OperatorId>,
): readonly Mistake[] {
  const seen = new Set<string>();
  const mistakes: Mistake[] = [];
  for (const node of nodes) {
    const id = ids.get(node) ?? '';
    if (seen.has(id)) {
      const message = `two operators are called "${id}"`;
      mistakes.push({ ...mistake(message, 'give each a name of its own'), site: node.site });
    }
    seen.add(id);
  }
  return mistakes;
}

/** A sink keeps one ledger of what it made visible: two streams into it would mix their numbers. */
function sinkClashes(nodes: readonly StreamNode[]): readonly Mistake[] {
  const seen = new Set<Sink>();
  const mistakes: Mistake[] = [];
  for (const node of nodes) {
    for (const sink of sinksOf(node)) {
      if (seen.has(sink) && typeof sink === 'object') {
        const message = `the sink "${sink.kind} ${sink.description}" is used twice`;
        const hint = 'use a sink for each stream, or a union of the streams';
        mistakes.push({ ...mistake(message, hint), site: node.site });
      }
      seen.add(sink);
    }
  }
  return mistakes;
}

function sinksOf(node: StreamNode): readonly Sink[] {
  if (node.kind === 'sink') return [node.sink];
  if (node.kind === 'aggregate' && node.late !== null) return [node.late];
  return node.kind === 'source' && node.deadLetter !== null ? [node.deadLetter] : [];
}

function invalidPipeline(name: string, mistakes: readonly Mistake[]): StreamError {
  const lines = mistakes.map(({ message, hint, site }) => {
    const place = site === null ? '' : `${site}: `;
    return `  ${place}${message}${hint === null ? '' : `\n    hint: ${hint}`}`;
  });
  const count = mistakes.length === 1 ? '1 mistake' : `${mistakes.length} mistakes`;
  const causes = mistakes.map((one) => one.cause).filter((cause) => cause !== undefined);
  return new StreamError({
    code: 'invalid-pipeline',
    message: `could not plan the pipeline "${name}": ${count}\n${lines.join('\n')}`,
    fields: { pipeline: name, mistakes: mistakes.length },
    ...(causes.length === 0
      ? {}
      : { cause: causes.length === 1 ? causes[0] : new AggregateError(causes) }),
  });
}

/** Gathers sources, sinks, tables and functions while operators are made. */
class Compiler {
  readonly #ids: ReadonlyMap<StreamNode, OperatorId>;
  readonly #sources: SourceSpec[] = [];
  readonly #sinks: SinkSpec[] = [];
  readonly #tables: TableSpec[] = [];
  readonly #functions: FunctionSpec[] = [];
  readonly #sourceObjects = new Map<SourceId, Source>();
  readonly #sinkObjects = new Map<SinkId, Sink>();
  readonly #tableRows = new Map<TableId, readonly RowObject[]>();
  readonly #functionObjects = new Map<FunctionId, UserFunction>();
  readonly #tableIds = new Map<Table, TableId>();
  readonly #functionIds = new Map<UserFunction, FunctionId>();

  constructor(ids: ReadonlyMap<StreamNode, OperatorId>) {
    this.#ids = ids;
  }

  operator(node: StreamNode): LogicalOperator {
    const id = this.#id(node);
    const kind = this.#kind(node, id);
    return { id, ...kind, schema: schemaOf(node.fields), timeColumn: node.time.column };
  }

  finish(name: string, operators: readonly LogicalOperator[]): Compiled {
    const plan: LogicalPlan = {
      name,
      operators,
      sources: this.#sources,
      sinks: this.#sinks,
      tables: this.#tables,
      functions: this.#functions,
    };
    const bindings: Bindings<Source, Sink> = {
      sources: this.#sourceObjects,
      sinks: this.#sinkObjects,
      tables: this.#tableRows,
      functions: this.#functionObjects,
    };
    return { plan, bindings };
  }

  #kind(node: StreamNode, id: OperatorId): LogicalKind {
    switch (node.kind) {
      case 'source':
        return { kind: 'source', source: this.#source(node, id) };
      case 'filter': {
        const predicate = this.#expr(node.predicate, id);
        return { kind: 'filter', input: this.#id(node.input), predicate };
      }
      case 'project': {
        const columns = this.#columns(node.columns, id);
        return { kind: 'project', input: this.#id(node.input), columns };
      }
      case 'map':
      case 'flat-map': {
        const fn = this.#function(node.fn, id);
        const names = node.input.fields.map((field) => field.name);
        const columns = columnsReadBy(node.fn.fn, 0, names);
        return { kind: node.kind, input: this.#id(node.input), fn, columns };
      }
      case 'union':
        return { kind: 'union', inputs: node.inputs.map((input) => this.#id(input)) };
      case 'join': {
        const { how, columns } = node;
        const keys = node.keys.map((key) => ({ ...key, left: this.#expr(key.left, id) }));
        const table = this.#table(node.table);
        return { kind: 'join', input: this.#id(node.input), table, how, keys, columns };
      }
      case 'broadcast-join': {
        const { kind, how, columns } = node;
        const keys = node.keys.map((key) => ({ ...key, left: this.#expr(key.left, id) }));
        const sides = { input: this.#id(node.input), right: this.#id(node.right) };
        return { kind, ...sides, how, keys, columns };
      }
      case 'aggregate':
        return this.#aggregate(node, id);
      case 'sink': {
        const sink = this.#sink(id, node.sink, schemaOf(node.fields));
        return { kind: 'sink', input: this.#id(node.input), sink };
      }
    }
  }

  #aggregate(node: AggregateNode, id: OperatorId): LogicalKind {
    const { window, allowedLatenessMs, emit, fanIn } = node;
    const late = node.late && this.#sink(`${id}.late`, node.late, schemaOf(node.input.fields));
    return {
      kind: 'aggregate',
      input: this.#id(node.input),
      keys: this.#columns(node.keys, id),
      window,
      aggregates: node.aggregates.map((one) => this.#aggregateCall(one, id)),
      time: node.timeExpr && this.#expr(node.timeExpr, id),
      allowedLatenessMs,
      late,
      emit,
      ...(fanIn === null ? {} : { fanIn }),
    };
  }

  #aggregateCall({ call, custom }: NamedAggregate, id: OperatorId): AggregateCall {
    const args = call.args.map((arg) => this.#expr(arg, id));
    return { ...call, args, custom: custom && this.#function(custom, id) };
  }

  #id(node: StreamNode): OperatorId {
    const id = this.#ids.get(node);
    assert(id !== undefined, 'an operator has no id');
    return id;
  }

  #columns(columns: readonly Column[], id: OperatorId): readonly Column[] {
    return columns.map(({ name, expr }) => ({ name, expr: this.#expr(expr, id) }));
  }

  /** Lambdas get their ids here. */
  #expr(expr: Expr, id: OperatorId): Expr {
    return rewrite(expr, (node) => {
      if (node.kind !== 'lambda') return node;
      const fn = lambdaFunctionOf(node);
      assert(fn !== null, 'a lambda has no function');
      return { ...node, id: this.#function(fn, id) };
    });
  }

  /** A function that is used twice is bound once. */
  #function(fn: UserFunction, operator: OperatorId): FunctionId {
    const known = this.#functionIds.get(fn);
    if (known !== undefined) return known;
    const prefix = `${operator}/`;
    const index = this.#functions.filter((spec) => spec.id.startsWith(prefix)).length;
    const id = `${prefix}${index}` as FunctionId;
    this.#functionIds.set(fn, id);
    this.#functions.push({ id, source: sourceOf(fn) });
    this.#functionObjects.set(id, fn);
    return id;
  }

  #source(node: Extract<StreamNode, { kind: 'source' }>, id: OperatorId): SourceId {
    const { source, watermark, onError } = node;
    const sourceId = id as string as SourceId;
    const dead = node.deadLetter;
    this.#sources.push({
      id: sourceId,
      name: id,
      description: `${source.kind} ${source.description}`.trim(),
      schema: schemaOf(node.fields),
      format: source.format,
      timeColumn: node.time.column,
      watermark,
      onError,
      deadLetter: dead && this.#sink(`${id}.dead-letter`, dead, deadLetterSchema),
    });
    this.#sourceObjects.set(sourceId, source);
    return sourceId;
  }

  #sink(name: string, sink: Sink, schema: RowSchema): SinkId {
    const id = name as SinkId;
    const description = `${sink.kind} ${sink.description}`.trim();
    this.#sinks.push({ id, name, description, schema, partitions: sink.partitions });
    this.#sinkObjects.set(id, sink);
    return id;
  }

  #table(table: Table): TableId {
    const known = this.#tableIds.get(table);
    if (known !== undefined) return known;
    const taken = [...this.#tableIds.values()].filter(
      (other) => other.split('#')[0] === table.name,
    );
    const id = (taken.length === 0 ? table.name : `${table.name}#${taken.length}`) as TableId;
    const { name, rows, contentHash } = table;
    const schema = schemaOf(table.schema.fields);
    this.#tableIds.set(table, id);
    this.#tables.push({ id, name, schema, rowCount: rows.length, contentHash });
    this.#tableRows.set(id, rows);
    return id;
  }
}

function schemaOf(fields: readonly Field[]): RowSchema {
  return { fields };
}

function sourceOf(fn: UserFunction): string {
  if (fn.kind !== 'aggregate') return fn.fn.toString();
  const { init, add, merge, result } = fn.aggregate;
  return [init, add, merge, result].map((part) => part.toString()).join('\n');
}
