// A snapshot's bytes: a header, the description as JSON, and sections of columns, each of one kind
// of state. docs/state-format.md has the table. Two checksums cover every byte; a delta names the
// snapshot that it goes on from, so that none is left out or put in another's place.

import { assert } from '../../base/assert.ts';
import { canonicalJson } from '../../base/canonical-json.ts';
import { decodeUtf8, encodeUtf8 } from '../columnar/utf8.ts';
import { checksum, mix } from './checksum.ts';
import { ColumnReader } from './column-reader.ts';
import { padded, snapshotBytesMax } from './column-writer.ts';
import type { ColumnWriter } from './column-writer.ts';
import { damagedState, tooLargeState, unknownState } from './snapshot-errors.ts';
import type { StateDescription } from './state-description.ts';

/** "MZLSTATE". */
const magic = Uint8Array.of(0x4d, 0x5a, 0x4c, 0x53, 0x54, 0x41, 0x54, 0x45);
export const snapshotVersion = 1;
const headerBytes = 72;
/** The description lists keys and aggregates; one beyond this was not written by us. */
const descriptionBytesMax = 16 * 1024 * 1024;
const sectionHeadBytes = 8;

/** Kinds of state. New ones get new numbers; a reader refuses what it does not know. */
export const sectionKinds = { source: 1, input: 2, windows: 3, sessions: 4, broadcast: 5 } as const;
export type SectionKind = (typeof sectionKinds)[keyof typeof sectionKinds];

/** All of a partition's state, or what changed since the snapshot before. */
export type SnapshotKind = 'base' | 'delta';

/** Names a partition's state at one time. Equal links: the same state. */
export type SnapshotLink = { readonly batch: number; readonly code: number };

export type SnapshotHeader = {
  readonly kind: SnapshotKind;
  readonly partition: number;
  /** Of the stage. */
  readonly partitionCount: number;
  readonly description: StateDescription;
  /** Of a delta: the state that it goes on from. */
  readonly previous: SnapshotLink | null;
};

export type Section = { readonly kind: SectionKind; readonly columns: ColumnWriter };

export type Snapshot = SnapshotHeader & {
  readonly link: SnapshotLink;
  readonly sections: readonly { readonly kind: number; readonly columns: ColumnReader }[];
};

/**
 * `batch`: the last micro-batch in the state. `code`: what the link is to be, for a snapshot that
 * takes the place of others; null: it is found from the content.
 */
export function encodeSnapshot(
  header: SnapshotHeader,
  state: { readonly batch: number; readonly code: number | null },
  sections: readonly Section[],
): { readonly bytes: Uint8Array; readonly link: SnapshotLink } {
  const description = encodeUtf8(canonicalJson(header.description));
  assert(description.length <= descriptionBytesMax, 'a description of state fits in 16 MiB');
  const bodyAt = headerBytes + padded(description.length);
  let length = bodyAt;
  for (const { columns } of sections) length += sectionHeadBytes + columns.byteLength;
  if (length > snapshotBytesMax) throw tooLargeState(length);
  const bytes = new Uint8Array(length);
  let at = bodyAt;
  for (const { kind, columns } of sections) {
    new Uint32Array(bytes.buffer, at, 2).set([kind, columns.byteLength]);
    at = columns.copyTo(bytes, at + sectionHeadBytes);
  }
  assert(at === length, 'a snapshot is as long as was computed');
  const bodySum = checksum(bytes, bodyAt, length);
  const code = state.code ?? linkCode(header.previous, bodySum);
  const view = new DataView(bytes.buffer);
  bytes.set(magic);
  view.setUint32(8, snapshotVersion, true);
  view.setUint32(16, bodySum, true);
  view.setUint32(20, length, true);
  view.setUint32(24, header.kind === 'base' ? 1 : 2, true);
  view.setUint32(28, sections.length, true);
  view.setFloat64(32, state.batch, true);
  view.setFloat64(40, header.previous === null ? -1 : header.previous.batch, true);
  view.setUint32(48, code, true);
  view.setUint32(52, header.previous === null ? 0 : header.previous.code, true);
  view.setUint32(56, header.partition, true);
  view.setUint32(60, header.partitionCount, true);
  view.setUint32(64, description.length, true);
  bytes.set(description, headerBytes);
  view.setUint32(12, checksum(bytes, 16, bodyAt), true);
  return { bytes, link: { batch: state.batch, code } };
}

/** The same changes of other states give other states. */
function linkCode(previous: SnapshotLink | null, bodySum: number): number {
  return previous === null ? bodySum : mix(previous.code, bodySum) >>> 0;
}

/** Throws `state-damaged` for whatever is not a whole snapshot, `state-version` for a newer one. */
export function decodeSnapshot(given: Uint8Array): Snapshot {
  // Columns are views, which must lie at multiples of 8.
  const bytes = given.byteOffset % 8 === 0 ? given : given.slice();
  const head = decodeHead(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (checksum(bytes, head.bodyAt, bytes.length) !== view.getUint32(16, true)) {
    throw damagedState('the checksum of its content is wrong');
  }
  const sections: { kind: number; columns: ColumnReader }[] = [];
  let at = head.bodyAt;
  while (at < bytes.length) {
    if (bytes.length - at < sectionHeadBytes) throw damagedState('a section is cut off');
    const kind = view.getUint32(at, true);
    const size = view.getUint32(at + 4, true);
    const start = at + sectionHeadBytes;
    if (size % 8 !== 0 || size > bytes.length - start) throw damagedState('a section is cut off');
    at = start + size;
    sections.push({ kind, columns: new ColumnReader(bytes, start, at) });
  }
  if (sections.length !== head.sectionCount) throw damagedState('a section is missing');
  return { ...head.header, link: head.link, sections };
}

type Head = {
  readonly header: SnapshotHeader;
  readonly link: SnapshotLink;
  readonly sectionCount: number;
  readonly bodyAt: number;
};

function decodeHead(bytes: Uint8Array): Head {
  if (bytes.length < headerBytes) throw damagedState('its header is cut off');
  if (magic.some((byte, index) => bytes[index] !== byte)) {
    throw damagedState('it does not start as a snapshot does');
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const version = view.getUint32(8, true);
  if (version !== snapshotVersion) {
    throw unknownState(`it has format ${version}, and this release knows ${snapshotVersion}`);
  }
  if (view.getUint32(20, true) !== bytes.length) {
    throw damagedState(`it has ${bytes.length} bytes of ${view.getUint32(20, true)}`);
  }
  const descriptionBytes = view.getUint32(64, true);
  const bodyAt = headerBytes + padded(descriptionBytes);
  if (bodyAt > bytes.length || bytes.length % 8 !== 0) throw damagedState('it is cut off');
  if (checksum(bytes, 16, bodyAt) !== view.getUint32(12, true)) {
    throw damagedState('the checksum of its header is wrong');
  }
  const kind = view.getUint32(24, true);
  if (kind !== 1 && kind !== 2) throw damagedState('it is neither a base nor a delta');
  const previous = { batch: view.getFloat64(40, true), code: view.getUint32(52, true) };
  const header: SnapshotHeader = {
    kind: kind === 1 ? 'base' : 'delta',
    partition: view.getUint32(56, true),
    partitionCount: view.getUint32(60, true),
    description: decodeDescription(bytes, descriptionBytes),
    previous: kind === 1 ? null : previous,
  };
  const link = { batch: view.getFloat64(32, true), code: view.getUint32(48, true) };
  return { header, link, sectionCount: view.getUint32(28, true), bodyAt };
}

function decodeDescription(bytes: Uint8Array, length: number): StateDescription {
  const text = decodeUtf8(bytes, headerBytes, headerBytes + length);
  let description: unknown;
  try {
    description = JSON.parse(text);
  } catch {
    throw damagedState('its description is not JSON');
  }
  if (typeof description !== 'object' || description === null || !('operator' in description)) {
    throw damagedState('its description is none');
  }
  return description as StateDescription;
}
