// The records of one partition, from fetched answers to chunks. It opens one batch at a time, when
// its records are taken: so the bytes are in the processor's cache when they are scanned, and no
// more than one batch is unpacked. The position moves on over what shows nothing, too: markers,
// aborted transactions, what compaction has removed.

import { StreamError } from '../../base/stream-error.ts';
import type { NewlineSearch } from '../../data/codegen/newline-search.ts';
import type { AbortedTransaction, KafkaCodecs } from '../../ports/kafka-wire.ts';
import type { SourceData, SourcePiece } from '../../ports/source-chunk.ts';
import { layLines } from './lay-lines.ts';
import type { RecordsSpan } from './lay-lines.ts';
import { LineTable } from './line-table.ts';
import { batchHeadAt, batchHeadBytes, crcFromByte } from './record-batch.ts';
import type { BatchHead } from './record-batch.ts';
import type { RowDecoder, RowRecords } from './row-decoder.ts';
import type { BatchTimes, LineSplicer } from './splice-lines.ts';
import { VisibleBatches } from './visible-batches.ts';

/** What records become: lines where they lie, lines with more members, or rows. */
export type RecordForm =
  | { readonly kind: 'lines' }
  | { readonly kind: 'spliced'; readonly splicer: LineSplicer }
  | { readonly kind: 'rows'; readonly decoder: RowDecoder };

export type StreamOptions = {
  readonly topic: string;
  readonly partition: number;
  readonly form: RecordForm;
  readonly codecs: KafkaCodecs;
  readonly checkCrc: boolean;
  readonly search: NewlineSearch;
  /** Offset of the first record to give. */
  readonly position: number;
};

export type FetchedBlock = {
  /** Record batches; the stream's own from now on. */
  readonly records: Uint8Array;
  readonly aborted: readonly AbortedTransaction[];
  /** Nobody looks at the records any more. */
  readonly release?: () => void;
};

export type TakenRecords = {
  readonly from: number;
  readonly to: number;
  readonly data: SourceData;
};

type Block = {
  readonly records: Uint8Array;
  readonly visible: VisibleBatches;
  /** Of the batches whose lines are laid in place; null: of none so far. */
  table: LineTable | null;
  /** Where the next batch begins. */
  at: number;
  /** Blank from here to `at`: markers, which pieces run over. -1: not. */
  blankFrom: number;
  readonly release: (() => void) | undefined;
};

/** What was taken stays valid until the second next take. */
const takesValid = 2;
/** As many blocks end in a take and the one before it, commonly. */
const freeTablesMax = 4;

type OpenLines = {
  readonly kind: 'lines';
  readonly bytes: Uint8Array;
  readonly table: LineTable;
  /** Blank bytes from here on, up to the first line. */
  readonly begin: number;
  readonly end: number;
  row: number;
  readonly rowEnd: number;
  /** What the position is behind the batch. */
  readonly next: number;
};

type OpenRows = { readonly kind: 'rows'; readonly records: RowRecords; readonly next: number };

type Taking = { readonly bytesMax: number; readonly limit: number };

/** What has been taken so far. */
type Gathered = {
  bytes: number;
  readonly pieces: SourcePiece[];
  readonly rows: Parameters<RowRecords['take']>[0];
};

export class RecordStream {
  readonly #options: StreamOptions;
  readonly #origin: string;
  #blocks: Block[] = [];
  #open: OpenLines | OpenRows | null = null;
  #failed: StreamError | null = null;
  /** Blocks that were taken to their ends, and in which take. */
  readonly #spent: { readonly block: Block; readonly take: number }[] = [];
  /** Fresh ones would count as memory from outside the heap, which V8 collects it for. */
  readonly #freeTables: LineTable[] = [];
  #takes = 0;
  /** Offset of the next record. */
  position: number;
  /** What answers hold that were not taken to their ends. */
  bufferedBytes = 0;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#origin = originOf(options);
    this.position = options.position;
  }

  push({ records, aborted, release }: FetchedBlock): void {
    const visible = new VisibleBatches(aborted);
    this.#blocks.push({ records, visible, table: null, at: 0, blankFrom: -1, release });
    this.bufferedBytes += records.length;
  }

  /** Nothing is left of what was pushed. */
  get isEmpty(): boolean {
    return this.#blocks.length === 0;
  }

  /** When the oldest record that waits was written, about; null: none waits. */
  oldestMs(): number | null {
    const [block] = this.#blocks;
    if (block === undefined) return null;
    return batchHeadAt(block.records, block.at)?.baseTimestampMs ?? null;
  }

  /** Records below `limit`, of about `bytesMax` bytes, one record more at most. */
  take(bytesMax: number, limit: number): TakenRecords {
    const from = this.position;
    this.#takes++;
    this.#releaseSpent();
    const gathered: Gathered = {
      bytes: 0,
      pieces: [],
      rows: { rows: [], offsets: [], bad: [], bytes: 0 },
    };
    try {
      while (gathered.bytes < bytesMax && this.position < limit && this.#hasOpen(limit)) {
        this.#takeOpen(gathered, { bytesMax, limit });
      }
    } catch (error) {
      // What was taken before is good.
      if (!(error instanceof StreamError)) throw error;
      this.#failed = error;
      if (this.position === from) throw error;
    }
    if (this.position >= limit) this.#dropBlocks();
    return { from, to: this.position, data: this.#dataOf(gathered) };
  }

  #dataOf({ pieces, rows }: Gathered): SourceData {
    if (pieces.length > 0) return { kind: 'bytes', pieces };
    if (rows.rows.length === 0 && rows.bad.length === 0) return { kind: 'none' };
    const { offsets, bad } = rows;
    return { kind: 'rows', rows: rows.rows, places: { origin: this.#origin, offsets, bad } };
  }

  #takeOpen(gathered: Gathered, taking: Taking): void {
    const open = this.#open!;
    if (open.kind === 'lines') this.#takeLines(open, gathered, taking);
    else this.#takeRows(open, gathered, taking);
  }

  #takeLines(open: OpenLines, gathered: Gathered, { bytesMax }: Taking): void {
    const { bytes, table, row, rowEnd } = open;
    const start = table.starts[row]!;
    const cut = table.firstAt(start + bytesMax - gathered.bytes, row + 1);
    const isWhole = cut >= rowEnd;
    const end = isWhole ? this.#endOf(open) : table.starts[cut]!;
    const last = gathered.pieces.at(-1);
    if (last?.bytes === bytes && last.end === open.begin) {
      gathered.pieces[gathered.pieces.length - 1] = { ...last, end };
    } else {
      gathered.pieces.push({
        bytes,
        start,
        end,
        origin: this.#origin,
        originOffset: table.offsets[row]!,
        columns: null,
        locate: (position) => table.offsetAt(position),
      });
    }
    gathered.bytes += end - start;
    if (isWhole) this.#leave(open.next);
    else {
      open.row = cut;
      this.position = table.offsets[cut - 1]! + 1;
    }
  }

  /** Lines that do not belong to what is asked for are behind those that do. */
  #endOf({ table, rowEnd, end }: OpenLines): number {
    return rowEnd < table.count ? table.starts[rowEnd]! : end;
  }

  #takeRows(open: OpenRows, gathered: Gathered, { bytesMax, limit }: Taking): void {
    const bytes = bytesMax - gathered.bytes;
    const done = open.records.take(gathered.rows, { bytesMax: bytes, from: this.position, limit });
    gathered.bytes = gathered.rows.bytes;
    if (done) this.#leave(open.next);
    else this.position = open.records.position;
  }

  #leave(next: number): void {
    this.#open = null;
    this.position = Math.max(this.position, next);
  }

  /** Opens the next batch with records to show; false: there is none so far. */
  #hasOpen(limit: number): boolean {
    if (this.#open !== null) return true;
    if (this.#failed !== null) throw this.#failed;
    for (;;) {
      const block = this.#blocks[0];
      if (block === undefined) return false;
      const head = batchHeadAt(block.records, block.at);
      if (head === null) {
        this.#blocks.shift();
        this.bufferedBytes -= block.records.length;
        this.#spent.push({ block, take: this.#takes });
        continue;
      }
      const at = block.at;
      const last = head.baseOffset + head.lastOffsetDelta;
      // What begins behind the limit is of no use to anybody.
      if (head.baseOffset >= limit) {
        this.position = limit;
        return false;
      }
      this.#check(block, at, head);
      const isVisible = block.visible.isVisible(block.records, at, head);
      block.at = at + head.bytes;
      const next = Math.min(last + 1, limit);
      if (last < this.position || !isVisible || head.records === 0) {
        this.#passOver(block, at, head);
        this.position = Math.max(this.position, next);
        if (this.position >= limit) return false;
        continue;
      }
      this.#open = this.#opened(block, { at, head, next, limit });
      if (this.#open !== null) return true;
      this.position = Math.max(this.position, next);
      if (this.position >= limit) return false;
    }
  }

  /** Markers are small: they become blank, and the piece in front goes on behind them. */
  #passOver(block: Block, at: number, { control, bytes }: BatchHead): void {
    if (!control || this.#options.form.kind !== 'lines') {
      block.blankFrom = -1;
      return;
    }
    block.records.fill(10, at, at + bytes);
    if (block.blankFrom < 0) block.blankFrom = at;
  }

  #check({ records }: Block, at: number, head: BatchHead): void {
    if (head.magic !== 2) {
      throw this.#error('kafka-format', head, {
        what: `it is in message format ${head.magic}`,
        hint: 'messages of brokers before 0.11 cannot be read: let them be written anew',
      });
    }
    if (!this.#options.checkCrc) return;
    const sum = this.#options.codecs.crc32c(records, at + crcFromByte, at + head.bytes);
    if (sum !== head.crc) throw this.#damaged(head, 'its checksum is another');
  }

  #opened(
    block: Block,
    batch: {
      readonly at: number;
      readonly head: BatchHead;
      readonly next: number;
      readonly limit: number;
    },
  ): OpenLines | OpenRows | null {
    const { head, at, next } = batch;
    const { form, search } = this.#options;
    const { bytes, span } = this.#unpacked(block, at, head);
    const times: BatchTimes = {
      baseMs: head.baseTimestampMs,
      appendMs: head.appendTime ? head.maxTimestampMs : null,
    };
    if (form.kind === 'rows') {
      const records = form.decoder.open(bytes, { span, times });
      return { kind: 'rows', records, next };
    }
    const isInPlace = form.kind === 'lines' && bytes === block.records;
    const table = isInPlace
      ? (block.table ??= this.#freeTables.pop() ?? new LineTable())
      : new LineTable();
    const first = table.count;
    let lines = bytes;
    let begin = span.from;
    let end = span.to;
    search.begin(bytes);
    if (form.kind === 'lines') {
      if (!layLines(bytes, span, { table, search })) throw this.#damaged(head, 'it is cut short');
      if (isInPlace) {
        bytes.fill(10, at, span.from);
        begin = block.blankFrom < 0 ? at : block.blankFrom;
      }
    } else {
      try {
        lines = form.splicer.lines(bytes, { span, times }, { table, search });
      } catch (error) {
        throw this.#damaged(head, 'it is cut short', error);
      }
      begin = 0;
      end = lines.length;
    }
    block.blankFrom = -1;
    const row = table.firstOffset(this.position, first);
    const rowEnd = table.firstOffset(batch.limit, row);
    if (row === rowEnd) return null;
    return { kind: 'lines', bytes: lines, table, begin, end, row, rowEnd, next };
  }

  #unpacked(
    { records }: Block,
    at: number,
    head: BatchHead,
  ): { readonly bytes: Uint8Array; readonly span: RecordsSpan } {
    const { compression, records: count, baseOffset } = head;
    const from = at + batchHeadBytes;
    const to = at + head.bytes;
    if (compression === 'none') return { bytes: records, span: { from, to, count, baseOffset } };
    if (compression === null) throw this.#damaged(head, 'its compression is unknown');
    try {
      const bytes = this.#options.codecs.decompress(compression, records.subarray(from, to));
      return { bytes, span: { from: 0, to: bytes.length, count, baseOffset } };
    } catch (error) {
      // The algorithm is not there.
      if (error instanceof StreamError) throw error;
      throw this.#damaged(head, `its ${compression} data cannot be unpacked`, error);
    }
  }

  #releaseSpent(): void {
    while (this.#spent.length > 0 && this.#spent[0]!.take + takesValid <= this.#takes) {
      const { release, table } = this.#spent.shift()!.block;
      release?.();
      if (table === null || this.#freeTables.length === freeTablesMax) continue;
      table.count = 0;
      this.#freeTables.push(table);
    }
  }

  #dropBlocks(): void {
    this.#blocks = [];
    this.#open = null;
    this.bufferedBytes = 0;
  }

  #damaged(head: BatchHead, what: string, cause?: unknown): StreamError {
    const hint =
      "check the brokers' disks and logs; if the network damages data, TLS notices it and the " +
      'checksum of TCP may not';
    return this.#error('kafka-batch-damaged', head, { what, hint, cause });
  }

  #error(
    code: string,
    { baseOffset }: BatchHead,
    {
      what,
      hint,
      cause,
    }: { readonly what: string; readonly hint: string; readonly cause?: unknown },
  ): StreamError {
    const { topic, partition } = this.#options;
    return new StreamError({
      code,
      message: `could not read the batch at ${this.#origin}, offset ${baseOffset}: ${what}`,
      hint,
      fields: { topic, partition, offset: baseOffset },
      cause,
    });
  }
}

/** For errors and dead letters. */
export function originOf({
  topic,
  partition,
}: {
  readonly topic: string;
  readonly partition: number;
}): string {
  return `topic "${topic}", partition ${partition}`;
}
