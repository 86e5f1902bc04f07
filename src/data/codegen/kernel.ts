// One stage as one generated JavaScript module: the loop over the rows that come in, with every
// operator of the stage inside, up to tables of partials and builders of exchanges and sinks. A
// stage with keyed state has a second loop over the rows that leave its windows.

import { assert } from '../../base/assert.ts';
import type { AggregateSpec, OperatorId } from '../../plan/logical-plan.ts';
import type { Stage, StageOperator } from '../../plan/physical-plan.ts';
import type { Field } from '../../schema/data-type.ts';
import type { BatchBuilder } from '../columnar/batch-builder.ts';
import type { Vector } from '../columnar/batch.ts';
import { accumulatorsOf } from '../state/keyed-table.ts';
import { MergeTable } from '../state/merge-table.ts';
import { PartialTable } from '../state/partial-table.ts';
import { emitAggregate } from './aggregate-code.ts';
import type { BroadcastJoin } from './broadcast-code.ts';
import { CodeWriter } from './code.ts';
import { bindBatchColumns, bindScanColumns } from './columns.ts';
import type { BoundColumns } from './columns.ts';
import { evaluateSource } from './evaluate.ts';
import { KernelContext } from './kernel-context.ts';
import type { KernelOptions, Place } from './kernel-context.ts';
import { countLate, emitAppend, emitOperators } from './kernel-operators.ts';
import { RowScope } from './kernel-row.ts';
import type { RowColumn } from './kernel-row.ts';
import type { ScanColumn } from './scanner.ts';
import { ScratchArena } from './scratch-arena.ts';
import { spanEquals } from './span.ts';

export type KernelFunctions = {
  /**
   * Takes the rows that a scanner put into its columns. `watermarkMs` here and below is what
   * `AggregateCode` says: a bound for partials, the input's watermark for rows of an aggregate.
   */
  readonly scan: ScanFunction | null;
  /** Takes the rows of an input batch. */
  readonly rows: BatchFunction | null;
  /** Takes the rows that leave the stage's windows. */
  readonly output: BatchFunction | null;
};

export type ScanFunction = (
  input: Uint8Array,
  scratch: Uint8Array,
  rowCount: number,
  watermarkMs: number,
) => void;

export type BatchFunction = (
  vectors: readonly Vector[],
  rowCount: number,
  watermarkMs: number,
) => void;

/** Root of a stage that has keyed state. */
export type AggregateRoot = Extract<StageOperator, { kind: 'aggregate' }>;

export type StageKernel = {
  readonly functions: KernelFunctions;
  readonly context: KernelContext;
  readonly source: string;
  /** The aggregate that the stage starts with. */
  readonly aggregate: AggregateRoot | null;
  /** The broadcast join that the stage starts with. */
  readonly join: BroadcastJoin | null;
  /** Partials of this micro-batch, in a stage of a tree. */
  readonly merged: MergeTable | null;
  /** Rows of this micro-batch as partials, when the aggregate takes rows. */
  readonly localPartials: PartialTable | null;
  readonly lateRows: BatchBuilder | null;
};

export type ScanColumns = readonly ScanColumn[] | null;

/**
 * Compiles a stage. `columns` are the scanner's; without them a scan stage takes its input as
 * batches.
 */
export function compileKernel(options: KernelOptions, columns: ScanColumns): StageKernel {
  const { text, ...kernel } = writeKernel(options, columns);
  const scope = Object.fromEntries(kernel.context.root.scope);
  return { ...kernel, source: text, functions: evaluateSource<KernelFunctions>(text, scope) };
}

/** The text of a stage's kernel, for `explain`. */
export function kernelSource(options: KernelOptions): string {
  const { input } = options.stage;
  const source =
    input.kind === 'scan'
      ? options.plan.sources.find(({ id }) => id === input.scan.source)
      : undefined;
  const scans = source !== undefined && source.format.kind !== 'rows';
  return writeKernel(options, scans ? [] : null).text;
}

type Written = Omit<StageKernel, 'functions' | 'source'> & { readonly text: string };

function writeKernel(options: KernelOptions, columns: ScanColumns): Written {
  const { stage } = options;
  const context = new KernelContext(options);
  const aggregate = aggregateRootOf(stage);
  const parts: string[] = [];
  let localPartials: PartialTable | null = null;
  let lateRows: BatchBuilder | null = null;
  const merged = mergeTableOf(context, stage);
  if (aggregate !== null) {
    if (aggregate.input === 'rows') {
      ({ localPartials, lateRows } = localTables(context, aggregate));
      const table = localPartials;
      const late = lateRows;
      const emit: EmitRow = (row, writer) =>
        emitLocalAggregate(context, { aggregate, table, late, row, writer });
      parts.push(writeFunction(context, batchInput('rows', aggregate.inputSchema.fields), emit));
    }
    const emit: EmitRow = (row, writer) => emitOperators(context, aggregate.next, { row, writer });
    parts.push(writeFunction(context, batchInput('output', aggregate.schema.fields), emit));
  } else if (merged === null) {
    const emit: EmitRow = (row, writer) => emitOperators(context, stage.root, { row, writer });
    const input = inputOf(context, columns);
    parts.push(writeFunction(context, input, withEqualities(context, columns, emit)));
  }
  const names = ['scan', 'rows', 'output'];
  const members = names.map((name) => {
    return parts.some((part) => part.includes(`function ${name}(`)) ? name : `${name}: null`;
  });
  const text = `${parts.join('\n\n')}\n\nreturn { ${members.join(', ')} };\n`;
  const [root] = stage.root;
  const join = root?.kind === 'broadcast-join' ? root : null;
  return { text, context, aggregate, join, merged, localPartials, lateRows };
}

/** Partials merge column at a time: no code is made for it. */
function mergeTableOf(context: KernelContext, stage: Stage): MergeTable | null {
  const [merge] = stage.root;
  if (merge?.kind !== 'merge-partials') return null;
  const accumulators = accumulatorsOf(merge.aggregate, context.functionsOf(merge.id));
  const table = new MergeTable(merge.aggregate, accumulators);
  context.partialExchanges.set(merge.exchange, table);
  return table;
}

function aggregateRootOf(stage: Stage): AggregateRoot | null {
  const [first] = stage.root;
  if (first?.kind !== 'aggregate') return null;
  assert(stage.root.length === 1, 'an aggregate is the only root of its stage');
  return first;
}

type EmitRow = (row: RowScope, writer: CodeWriter) => void;

type FunctionInput = {
  readonly name: string;
  readonly parameters: string;
  readonly bind: (prologue: CodeWriter) => BoundColumns;
};

function batchInput(name: string, fields: readonly Field[]): FunctionInput {
  return {
    name,
    parameters: 'vectors, rowCount, watermarkMs',
    bind: (prologue) => bindBatchColumns(prologue, fields, 'vectors'),
  };
}

function inputOf(context: KernelContext, columns: ScanColumns): FunctionInput {
  const { stage, plan } = context.options;
  if (stage.input.kind === 'exchanges') {
    const [root] = stage.root;
    if (root?.kind === 'broadcast-join') return batchInput('rows', root.inputSchema.fields);
    const exchange = plan.exchanges[stage.input.exchanges[0]!]!;
    return batchInput('rows', exchange.schema.fields);
  }
  const { fields } = stage.input.scan;
  if (columns === null) return batchInput('rows', fields);
  return {
    name: 'scan',
    parameters: 'input, scratch, rowCount, watermarkMs',
    bind: (prologue) => {
      const name = context.share('scanned', columns);
      return bindScanColumns(prologue, {
        fields,
        columns: name,
        input: 'input',
        scratch: 'scratch',
      });
    },
  };
}

/** A scanner checks the pushed-down equalities itself; rows from a connector are checked here. */
function withEqualities(context: KernelContext, columns: ScanColumns, emit: EmitRow): EmitRow {
  const { input } = context.options.stage;
  if (input.kind !== 'scan' || columns !== null) return emit;
  return (row, writer) => {
    const equals = context.share('spanEquals', spanEquals);
    const tests = input.scan.equals.map(({ column, value }) => {
      const left = row.value(column, writer);
      assert(left.kind === 'span', 'equalities are of strings');
      const bytes = new TextEncoder().encode(value);
      const right = `${context.root.constant('literal', bytes)}, 0, ${bytes.length}`;
      const isEqual = `${equals}(${left.bytes}, ${left.start}, ${left.end}, ${right})`;
      return left.isNull === null ? isEqual : `!${left.isNull} && ${isEqual}`;
    });
    if (tests.length === 0) emit(row, writer);
    else writer.block(`if (${tests.join(' && ')})`, () => emit(row, writer));
  };
}

/** Writes one function: locals, then the loop over the rows. */
function writeFunction(context: KernelContext, input: FunctionInput, emit: EmitRow): string {
  const prologue = new CodeWriter(context.root);
  const body = new CodeWriter(context.root);
  context.prologue = prologue;
  context.usesCalls = false;
  context.scansInput = input.name === 'scan';
  const columns = new Map<string, RowColumn>();
  for (const [name, load] of input.bind(prologue)) {
    columns.set(name, { load: (_row, writer) => load(writer, 'row'), dictionary: null });
  }
  emit(new RowScope(columns, null), body);
  const lines = new CodeWriter(context.root);
  lines.block(`function ${input.name}(${input.parameters})`, () => {
    writeLines(lines, prologue.text());
    lines.block('for (let row = 0; row < rowCount; row++)', () => {
      const arena = arenaName(context);
      if (arena !== null) lines.line(`${arena}.reset();`);
      if (context.usesCalls) lines.line(`${context.share('calls', context.calls)}.row = row;`);
      writeLines(lines, body.text());
    });
  });
  return lines.text();
}

function writeLines(writer: CodeWriter, text: string): void {
  if (text !== '') for (const line of text.split('\n')) writer.line(line);
}

/** The kernel's arena, if anything written so far uses one. */
function arenaName(context: KernelContext): string | null {
  for (const [name, value] of context.root.scope) if (value instanceof ScratchArena) return name;
  return null;
}

type LocalTables = {
  readonly localPartials: PartialTable;
  readonly lateRows: BatchBuilder | null;
};

/** Where the rows of a micro-batch become partials when whole rows crossed the exchange. */
function localTables(context: KernelContext, root: AggregateRoot): LocalTables {
  const { aggregate, lateSchema, id } = root;
  const localPartials = new PartialTable({
    aggregate,
    dictionaries: aggregate.keys.map(() => null),
    accumulators: accumulatorsOf(aggregate, context.functionsOf(id)),
  });
  const { late } = aggregate;
  if (late === null || lateSchema === null) return { localPartials, lateRows: null };
  return { localPartials, lateRows: context.sinkBuilder(late, lateSchema) };
}

function emitLocalAggregate(
  context: KernelContext,
  local: {
    readonly aggregate: AggregateRoot;
    readonly table: PartialTable;
    readonly late: BatchBuilder | null;
    readonly row: RowScope;
    readonly writer: CodeWriter;
  },
): void {
  const { aggregate: root, table, late, row, writer } = local;
  const operator: OperatorId = root.id;
  const aggregate: AggregateSpec = root.aggregate;
  const onLate = (at: Place): void => {
    countLate(context, at.writer);
    if (late !== null) emitAppend(context, late, { ...at, row: at.row.fork() });
  };
  emitAggregate(
    context,
    { aggregate, table, late: onLate, watermark: 'input' },
    { row, writer, operator },
  );
}
