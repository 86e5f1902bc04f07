// The public entry: the language of pipelines, the connectors, and the engine that runs them.

import { setRunner } from './api/runner.ts';
import { runPipeline } from './runtime/run-pipeline.ts';

export {
  Aggregate,
  approxCountDistinct,
  avg,
  count,
  countDistinct,
  customAggregate,
  first,
  last,
  max,
  min,
  sum,
  topK,
} from './api/aggregates.ts';
export type {
  CheckpointOptions,
  Job,
  JobState,
  JobStatus,
  JobSummary,
  OutputChoice,
  Percentiles,
  RunOptions,
  SavepointInfo,
  StopOptions,
} from './api/job.ts';
export { Pipeline, pipeline } from './api/pipeline.ts';
export type { FromOptions, WatermarkOptions } from './api/pipeline.ts';
export type { Scope } from './api/scope.ts';
export {
  AggregatedStream,
  BroadcastStream,
  GroupedStream,
  Stream,
  WindowedStream,
} from './api/stream.ts';
export type { AggregateOptions, JoinOptions, TreeOptions, WindowOptions } from './api/stream.ts';
export { Table, table } from './api/table.ts';
export { hopping, session, tumbling } from './api/windows.ts';
export type { Window, WindowOffset } from './api/windows.ts';
export type { Duration } from './base/duration.ts';
export { StreamError } from './base/stream-error.ts';
export type { ErrorFields } from './base/stream-error.ts';
export type { DateUnit } from './expr/call.ts';
export {
  BooleanExpression,
  Expression,
  Int64Expression,
  JsonExpression,
  NumberExpression,
  StringExpression,
  TimestampExpression,
  iff,
  literal,
} from './expr/expression.ts';
export type { CustomAggregate, OperatorContext } from './plan/bindings.ts';
export type { ExecutionMode } from './plan/execution-mode.ts';
export type { LogicalPlan } from './plan/logical-plan.ts';
export type { Sink, SinkContext, SinkOutput, SinkRun, SinkWriter } from './ports/sink.ts';
export type {
  Source,
  SourceContext,
  SourceLag,
  SourceReader,
  SourceReplayer,
} from './ports/source.ts';
export type { TypedSink, TypedSource } from './ports/typed.ts';
export {
  ColumnType,
  boolean,
  float64,
  int32,
  int64,
  json,
  string,
  timestamp,
} from './schema/column-type.ts';
export type { JsonValue, RowObject, TimeEncoding } from './schema/data-type.ts';
export type { DeadLetterRow } from './schema/dead-letter.ts';
export { Schema, schema } from './schema/schema.ts';
export type { Row, SchemaDefinition } from './schema/schema.ts';
export type { StandardSchema } from './schema/standard-schema.ts';
export type { Columns, RowOf } from './schema/value-type.ts';
export { consoleTable } from './connectors/console/console-table.ts';
export type { ConsoleTableOptions } from './connectors/console/console-table.ts';
export { csv, jsonLines } from './connectors/files/file-sink.ts';
export type { FileSinkOptions } from './connectors/files/file-sink.ts';
export { files } from './connectors/files/files.ts';
export type { FilesOptions } from './connectors/files/files.ts';
export { ysbAds, ysbEvent, ysbGenerator } from './connectors/generator/ysb-generator.ts';
export type { YsbGeneratorOptions } from './connectors/generator/ysb-generator.ts';
export { ysbExpectedCounts } from './connectors/generator/ysb-truth.ts';
export { generator } from './connectors/generator/row-generator.ts';
export { CollectSink, collect, forEach } from './connectors/memory/collect.ts';
export type { CollectedBatch, RowArrival } from './connectors/memory/collect.ts';
export { memoryBytes } from './connectors/memory/memory-bytes.ts';
export { memory } from './connectors/memory/memory-rows.ts';
export { runInTerminal } from './runtime/terminal/run-in-terminal.ts';
export type { TerminalOptions } from './runtime/terminal/run-in-terminal.ts';

setRunner(runPipeline);
