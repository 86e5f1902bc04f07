// What stands in a partition of a range log's topic, and what follows from it: who may write, and
// which ranges count. Everybody reads the same records in the same order, so all agree.

import { decodeFrame, encodeFrame } from '../../control/storage/range-frame.ts';
import type { LoggedRange } from '../../ports/range-log.ts';

export type LogMark =
  /** Somebody wants to write under a name; the first one may. */
  | {
      readonly kind: 'open';
      readonly writer: string;
      readonly term: number;
      readonly token: string;
      /** It was open when what stood before was deleted: fences do not concern it. */
      readonly again: boolean;
    }
  | {
      readonly kind: 'ranges';
      readonly writer: string;
      readonly token: string;
      /** The greatest micro-batch of these and of all that the writer wrote before. */
      readonly throughBatch: number;
      /** As in other range logs: it is decoded only where somebody wants to know the ranges. */
      readonly frame: Uint8Array;
    }
  /** What the writer adds behind it does not count. */
  | { readonly kind: 'seal'; readonly writer: string; readonly atMs: number }
  /** Who has a lesser term and has not opened does not. */
  | { readonly kind: 'fence'; readonly term: number };

/** Whose log it is. A topic has one pipeline's, and may have several of its histories. */
export type LogOwner = { readonly pipeline: string; readonly history: string };

/** Text of JSON, a line feed, and for ranges a frame as in other range logs. */
export function encodeMark({ pipeline, history }: LogOwner, mark: LogMark): Uint8Array {
  const of = { pipeline, history };
  if (mark.kind !== 'ranges') return encoder.encode(JSON.stringify({ ...of, ...mark }));
  const { kind, writer, token, frame } = mark;
  const head = encoder.encode(`${JSON.stringify({ ...of, kind, writer, token })}\n`);
  const bytes = new Uint8Array(head.length + frame.length);
  bytes.set(head);
  bytes.set(frame, head.length);
  return bytes;
}

/** Null: of another history; `foreign`: of another pipeline; `damaged`: none at all. */
export function decodeMark(
  value: Uint8Array,
  { pipeline, history }: LogOwner,
): LogMark | null | 'foreign' | 'damaged' {
  const lineEnd = value.indexOf(0x0a);
  const head = parseHead(value.subarray(0, lineEnd < 0 ? value.length : lineEnd));
  if (head === null) return 'damaged';
  if (typeof head['pipeline'] !== 'string') return 'damaged';
  if (head['pipeline'] !== pipeline) return 'foreign';
  if (head['history'] !== history) return null;
  const { kind, writer, term, token, atMs, again } = head;
  if (kind === 'fence' && typeof term === 'number') return { kind, term };
  if (typeof writer !== 'string') return 'damaged';
  if (kind === 'seal' && typeof atMs === 'number') return { kind, writer, atMs };
  if (typeof token !== 'string') return 'damaged';
  if (kind === 'open' && typeof term === 'number') {
    return { kind, writer, term, token, again: again === true };
  }
  if (kind !== 'ranges' || lineEnd < 0) return 'damaged';
  const decoded = decodeFrame(value, lineEnd + 1, Infinity);
  if (decoded?.frame.kind !== 'records' || decoded.end !== value.length) return 'damaged';
  const { throughBatch } = decoded.frame;
  return { kind, writer, token, throughBatch, frame: value.subarray(lineEnd + 1) };
}

export function rangesMark(
  by: { readonly writer: string; readonly token: string },
  throughBatch: number,
  ranges: readonly LoggedRange[],
): LogMark {
  const frame = encodeFrame({ kind: 'records', throughBatch, records: ranges });
  return { kind: 'ranges', ...by, throughBatch, frame };
}

function parseHead(bytes: Uint8Array): Readonly<Record<string, unknown>> | null {
  try {
    const parsed: unknown = JSON.parse(strictText.decode(bytes));
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : null;
  } catch {
    return null;
  }
}

const encoder = new TextEncoder();
const strictText = new TextDecoder('utf-8', { fatal: true });

export type LogWriterState = {
  /** Whoever has it may write; null: sealed before anybody did. */
  readonly token: string | null;
  readonly term: number;
  readonly sealedMs: number | null;
  /** Of the first seal that stands in the log now; and of the last, which was added again. */
  readonly sealedAt: number;
  readonly sealedAgainAt: number;
};

export type CountedRanges = {
  readonly offset: number;
  readonly writer: string;
  readonly throughBatch: number;
  readonly frame: Uint8Array;
  /** What is in the frame, once somebody has decoded it. */
  records: readonly LoggedRange[] | null;
};

const noOffset = -1;

/** One partition of the topic, as far as it was read. */
export class LogState {
  readonly writers = new Map<string, LogWriterState>();
  /** In order; only where they are kept. */
  ranges: CountedRanges[] = [];
  fenced = 0;
  /** Where a writer added something behind its seal, the last such place. */
  readonly #strays = new Map<string, number>();
  readonly #keepsRanges: boolean;

  constructor({ keepsRanges }: { readonly keepsRanges: boolean }) {
    this.#keepsRanges = keepsRanges;
  }

  apply(mark: LogMark, offset: number): void {
    switch (mark.kind) {
      case 'fence':
        this.fenced = Math.max(this.fenced, mark.term);
        return;
      case 'seal':
        return this.#seal(mark.writer, mark.atMs, offset);
      case 'open': {
        const { writer, term, token, again } = mark;
        if (this.writers.has(writer) || (term < this.fenced && !again)) return;
        this.#open(writer, token, term);
        return;
      }
      case 'ranges':
        return this.#add(mark, offset);
    }
  }

  /** Where something was added behind this seal, and would count if the seal were not there. */
  strayAt(writer: string): number {
    return this.#strays.get(writer) ?? noOffset;
  }

  #open(writer: string, token: string, term: number): void {
    const unsealed = { sealedMs: null, sealedAt: noOffset, sealedAgainAt: noOffset };
    this.writers.set(writer, { token, term, ...unsealed });
  }

  #seal(writer: string, sealedMs: number, offset: number): void {
    const known = this.writers.get(writer) ?? { token: null, term: 0, sealedMs: null };
    const first = known.sealedMs === null;
    const sealedAt = first ? offset : (known as LogWriterState).sealedAt;
    const at = { sealedMs: known.sealedMs ?? sealedMs, sealedAt, sealedAgainAt: offset };
    this.writers.set(writer, { token: known.token, term: known.term, ...at });
  }

  #add(mark: Extract<LogMark, { kind: 'ranges' }>, offset: number): void {
    const { writer, token, throughBatch, frame } = mark;
    // Its opening was deleted; nobody adds ranges before he has seen that he may.
    if (!this.writers.has(writer)) this.#open(writer, token, 0);
    const { token: own, sealedMs } = this.writers.get(writer)!;
    if (sealedMs !== null || own !== token) {
      this.#strays.set(writer, offset);
      return;
    }
    if (this.#keepsRanges) {
      this.ranges.push({ offset, writer, throughBatch, frame, records: null });
    }
  }
}
