// Manifests: what is written is read, and damage of any kind is an error that names the place.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamError } from '../../base/stream-error.ts';
import type { CheckpointManifest, StateObject } from '../protocol/checkpoint-manifest.ts';
import { checkpointContent } from './checkpoints.fixture.ts';
import { decodeEntry, encodeEntry } from './manifest-codec.ts';
import { sealJson } from './sealed-json.ts';

const base: StateObject = {
  key: 'state/1-0-0/1-0-000000000004-base',
  bytes: 10,
  crc32: 4_000_000_000,
  kind: 'base',
  batch: 4,
};
const delta: StateObject = {
  ...base,
  key: 'state/1-0-0/1-0-000000000007-delta',
  kind: 'delta',
  batch: 7,
};

const manifest: CheckpointManifest = {
  ...checkpointContent(7, [base, delta], 'before-upgrade'),
  format: 2,
  kind: 'checkpoint',
  pipeline: 'clicks',
  sequence: 3,
  previous: { sequence: 2, checksum: 'abc' },
  term: 1,
  createdMs: 1_700_000_000_000,
};

test('decodeEntry gives back what encodeEntry wrote', () => {
  const { bytes, checksum } = encodeEntry(manifest);
  assert.deepEqual(decodeEntry('m', bytes), { entry: manifest, checksum });
  const mark = { ...manifest, kind: 'term', holder: 'h', previous: null } as const;
  const { format, kind, pipeline, sequence, previous, term, createdMs, holder } = mark;
  const small = { format, kind, pipeline, sequence, previous, term, createdMs, holder };
  assert.deepEqual(decodeEntry('m', encodeEntry(small).bytes).entry, small);
});

test('encodeEntry writes the same bytes whatever the order of the fields', () => {
  const reversed = Object.fromEntries(Object.entries(manifest).toReversed()) as CheckpointManifest;
  assert.deepEqual(encodeEntry(reversed).bytes, encodeEntry(manifest).bytes);
});

test('decodeEntry refuses every cut and every flipped bit', () => {
  const { bytes } = encodeEntry(manifest);
  for (let length = 0; length < bytes.length - 1; length += 13) {
    assert.throws(() => decodeEntry('m', bytes.slice(0, length)), isDamaged);
  }
  for (let at = 0; at < bytes.length - 1; at += 3) {
    const flipped = bytes.slice();
    flipped[at]! ^= 1 << (at % 7);
    assert.throws(() => decodeEntry('m', flipped), isDamaged, `bit of byte ${at}`);
  }
});

test('decodeEntry names file and field of what is not what it must be', () => {
  const cases: readonly (readonly [string, Record<string, unknown>])[] = [
    ['batch', { batch: 1.5 }],
    ['batch', { batch: '7' }],
    ['term', { term: undefined }],
    ['kind', { kind: 'other' }],
    ['state', { state: {} }],
    ['structure.stages[0].partitions', { structure: stageWith({ partitions: -1 }) }],
    ['structure.stages[0].inputs', { structure: stageWith({ inputs: 'clicks' }) }],
    ['state[0].objects[0].key', stateWith({ ...base, key: '../lease.json' })],
    ['state[0].objects[0].key', stateWith({ ...base, key: 'state/../../x' })],
    ['state[0].objects[0].crc32', stateWith({ ...base, crc32: 2 ** 32 })],
    ['state[0].objects', stateWith(delta)],
    ['state[0].objects', { state: [{ stage: 1, partition: 0, objects: [base, delta, base] }] }],
    ['sources[0].partitions[0].record', { sources: [sourceWith('not base64!')] }],
  ];
  for (const [field, change] of cases) {
    const { bytes } = sealJson({ ...manifest, ...change });
    assert.throws(
      () => decodeEntry('manifests/3.json', bytes),
      (error) =>
        isDamaged(error) &&
        (error as StreamError).fields['field'] === field &&
        (error as StreamError).fields['file'] === 'manifests/3.json',
      field,
    );
  }
});

test('decodeEntry tells another format from damage', () => {
  const { bytes } = sealJson({ format: 3, everything: 'else' });
  assert.throws(
    () => decodeEntry('m', bytes),
    (error) => error instanceof StreamError && error.code === 'checkpoint-format',
  );
});

function stateWith(object: StateObject): Record<string, unknown> {
  return { state: [{ stage: 1, partition: 0, objects: [object] }] };
}

function stageWith(change: Record<string, unknown>): Record<string, unknown> {
  const { structure } = manifest;
  return { ...structure, stages: [{ ...structure.stages[0], ...change }] };
}

function sourceWith(record: string): unknown {
  return { source: 's', layout: null, partitions: [{ partition: 0, batch: 1, record }] };
}

function isDamaged(error: unknown): boolean {
  return error instanceof StreamError && error.code === 'checkpoint-damaged';
}
