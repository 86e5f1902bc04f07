// The bytes of an entry of a pipeline's chain, and back, without trust: a file that is damaged, or
// of another format, or names blobs outside its pipeline is an error that names file and field.

import type { StreamError } from '../../base/stream-error.ts';
import type {
  NamedText,
  OperatorStructure,
  PlanStructure,
  SinkStructure,
  StageStructure,
  StateStructure,
} from '../../plan/plan-structure.ts';
import { manifestBytesMax } from '../limits.ts';
import type {
  ChainEntry,
  CheckpointContent,
  PartitionState,
  SinkProgress,
  SourceProgress,
  StateObject,
} from '../protocol/checkpoint-manifest.ts';
import { manifestFormat } from '../protocol/checkpoint-manifest.ts';
import { isBlobKey } from './blob-key.ts';
import { FieldProblem, JsonField } from './json-fields.ts';
import { sealJson, unsealJson } from './sealed-json.ts';
import { storageError } from './storage-errors.ts';

export type DecodedEntry = { readonly entry: ChainEntry; readonly checksum: string };

export function encodeEntry(entry: ChainEntry): { bytes: Uint8Array; checksum: string } {
  return sealJson(entry);
}

/** Throws `checkpoint-damaged` or `checkpoint-format`. */
export function decodeEntry(file: string, bytes: Uint8Array): DecodedEntry {
  if (bytes.length > manifestBytesMax) throw damaged(file, `it has ${bytes.length} bytes`, null);
  const sealed = unsealJson(bytes);
  if ('problem' in sealed) throw damaged(file, sealed.problem, null);
  try {
    return { entry: readEntry(file, new JsonField(sealed.content)), checksum: sealed.checksum };
  } catch (error) {
    if (error instanceof FieldProblem) throw damaged(file, error.message, error.field);
    throw error;
  }
}

function readEntry(file: string, from: JsonField): ChainEntry {
  const format = from.get('format').whole(1);
  if (format !== manifestFormat) throw otherFormat(file, format);
  const head = {
    format: manifestFormat,
    pipeline: from.get('pipeline').text(),
    sequence: from.get('sequence').whole(1),
    previous: from.get('previous').orNull((previous) => ({
      sequence: previous.get('sequence').whole(1),
      checksum: previous.get('checksum').orNull((checksum) => checksum.text()),
    })),
    term: from.get('term').whole(),
    createdMs: from.get('createdMs').whole(),
  } as const;
  const kind = from.get('kind').oneOf('checkpoint', 'term');
  if (kind === 'term') return { ...head, kind, holder: from.get('holder').text() };
  return { ...head, ...readContent(from), kind };
}

function readContent(from: JsonField): CheckpointContent {
  return {
    history: from.get('history').text(),
    startMs: from.get('startMs').whole(),
    batch: from.get('batch').whole(-1),
    planHash: from.get('planHash').text(),
    structure: readStructure(from.get('structure')),
    sources: from.get('sources').list(readSource),
    state: from.get('state').list(readState),
    sinks: from.get('sinks').list(readSink),
    savepoint: from.get('savepoint').orNull((label) => label.text()),
  };
}

function readStructure(from: JsonField): PlanStructure {
  return {
    hash: from.get('hash').text(),
    sources: from.get('sources').list((source) => ({
      id: source.get('id').text(),
      description: source.get('description').text(),
      watermark: source.get('watermark').text(),
    })),
    stages: from.get('stages').list(readStage),
    sinks: from.get('sinks').list(readSinkStructure),
  };
}

function readSinkStructure(from: JsonField): SinkStructure {
  return {
    id: from.get('id').text(),
    description: from.get('description').text(),
    columns: from.get('columns').text(),
    ledger: from.get('ledger').text(),
    feeds: from.get('feeds').list((feed) => ({
      from: feed.get('from').text(),
      partitions: feed.get('partitions').whole(),
    })),
  };
}

function readStage(from: JsonField): StageStructure {
  return {
    stage: from.get('stage').whole(),
    source: from.get('source').orNull((source) => source.text()),
    partitions: from.get('partitions').whole(),
    inputs: from.get('inputs').list((input) => input.text()),
    operators: from.get('operators').list(readOperator),
  };
}

function readOperator(from: JsonField): OperatorStructure {
  const state = from.get('state').orNull((field): StateStructure => {
    return {
      keys: field.get('keys').list(readNamed),
      window: field.get('window').text(),
      time: field.get('time').text(),
      lateness: field.get('lateness').text(),
      aggregates: field.get('aggregates').list(readNamed),
      columns: field.get('columns').list(readNamed),
    };
  });
  return { id: from.get('id').text(), kind: from.get('kind').text(), state };
}

function readNamed(from: JsonField): NamedText {
  return { name: from.get('name').text(), text: from.get('text').text() };
}

function readSource(from: JsonField): SourceProgress {
  return {
    source: from.get('source').text(),
    layout: from.get('layout').value,
    partitions: from.get('partitions').list((partition) => ({
      partition: partition.get('partition').whole(),
      batch: partition.get('batch').whole(-1),
      record: readBase64(partition.get('record')),
    })),
  };
}

function readBase64(from: JsonField): string {
  const value = from.text();
  if (value.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(value)) throw from.problem('base64');
  return value;
}

function readState(from: JsonField): PartitionState {
  const objects = from.get('objects');
  const state = {
    stage: from.get('stage').whole(),
    partition: from.get('partition').whole(),
    objects: objects.list(readObject),
  };
  const isOrdered = state.objects.every(({ kind, batch }, index) =>
    index === 0
      ? kind === 'base'
      : kind === 'delta' && batch >= (state.objects[index - 1]?.batch ?? batch),
  );
  if (!isOrdered) throw objects.problem('a base and the deltas after it');
  return state;
}

function readObject(from: JsonField): StateObject {
  const key = from.get('key').text();
  if (!key.startsWith('state/') || !isBlobKey(key)) throw from.get('key').problem('a key of state');
  return {
    key,
    bytes: from.get('bytes').whole(),
    crc32: from.get('crc32').whole(0, 2 ** 32 - 1),
    kind: from.get('kind').oneOf('base', 'delta'),
    batch: from.get('batch').whole(-1),
  };
}

function readSink(from: JsonField): SinkProgress {
  return {
    sink: from.get('sink').text(),
    partitions: from.get('partitions').list((partition) => ({
      partition: partition.get('partition').whole(),
      batch: partition.get('batch').whole(-1),
    })),
  };
}

function damaged(file: string, problem: string, field: string | null): StreamError {
  return storageError({
    code: 'checkpoint-damaged',
    message: `could not use the manifest "${file}": ${problem}`,
    hint: 'an older checkpoint can be used; `mizzle checkpoints verify` shows which are whole',
    fields: { file, field },
  });
}

function otherFormat(file: string, format: number): StreamError {
  return storageError({
    code: 'checkpoint-format',
    message: `could not use the manifest "${file}": its format is ${format}`,
    hint: `this release reads format ${manifestFormat}; use the one that wrote it`,
    fields: { file, format },
  });
}
