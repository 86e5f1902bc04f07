// The Yahoo Streaming Benchmark's events as a paced source of JSON lines. A partition's offset is
// the ordinal of an event in it; partition p has the events i ≡ p (mod partitions). Buffers are
// two, used in turn, which is as long as a chunk's bytes must hold.

import type {
  Source,
  SourceContext,
  SourceLag,
  SourceReader,
  SourceReplayer,
} from '../../ports/source.ts';
import type { SourceChunk, SourcePiece } from '../../ports/source-chunk.ts';
import type { TypedSource } from '../../ports/typed.ts';
import { string, timestamp } from '../../schema/column-type.ts';
import type { JsonValue } from '../../schema/data-type.ts';
import { schema } from '../../schema/schema.ts';
import { checkRate, pacedLayout, pacerOf } from './generator-options.ts';
import type { Pacer } from './pacer.ts';
import { ysbEventBytesMax, YsbEventWriter, ysbIds } from './ysb-events.ts';
import type { YsbShape } from './ysb-events.ts';

/** The columns of an ad event. */
export const ysbEvent = schema({
  user_id: string(),
  page_id: string(),
  ad_id: string(),
  ad_type: string(),
  event_type: string<'view' | 'click' | 'purchase'>(),
  event_time: timestamp('ms'),
  ip_address: string(),
});

/**
 * The ad events of the Yahoo Streaming Benchmark, as JSON lines of about 240 bytes, at a steady
 * rate. `event_time` is when an event was due, so an engine that falls behind shows it as latency.
 * The right answer is `ysbExpectedCounts`, the table of ads is `ysbAds`. Writing an event costs
 * about 40 ns. Throws a StreamError with code `option-invalid` for a rate or bound that is none.
 */
export function ysbGenerator(
  options: YsbGeneratorOptions,
): TypedSource<(typeof ysbEvent)['columns']> {
  return { source: new YsbSource(options), schema: ysbEvent };
}

export type YsbGeneratorOptions = {
  /** Of all partitions together. */
  readonly eventsPerSecond: number;
  /** Default 1. The same seed, rate and start give the same bytes. */
  readonly seed?: number;
  /** Default: one a worker. */
  readonly partitions?: number;
  /** Ends after so many seconds' events. Neither this nor `events`: never ends. */
  readonly seconds?: number;
  /** Ends after so many events of all partitions together. */
  readonly events?: number;
  /** When event 0 is due, epoch ms. Default: the start of the run. */
  readonly startMs?: number;
  /** Default 100. */
  readonly campaigns?: number;
  /** Default 10. */
  readonly adsPerCampaign?: number;
};

export function ysbShape(options: YsbGeneratorOptions): YsbShape {
  const { eventsPerSecond, seed = 1, campaigns = 100, adsPerCampaign = 10 } = options;
  return { eventsPerSecond, seed, campaigns, adsPerCampaign };
}

/** The static table of the benchmark: which campaign an ad belongs to. */
export function ysbAds(
  options: Pick<YsbGeneratorOptions, 'seed' | 'campaigns' | 'adsPerCampaign'>,
): { ad_id: string; campaign_id: string }[] {
  const shape = ysbShape({ ...options, eventsPerSecond: 1 });
  const { campaignIds, adIds } = ysbIds(shape);
  return adIds.map((ad_id, ad) => {
    return { ad_id, campaign_id: campaignIds[Math.floor(ad / shape.adsPerCampaign)] };
  });
}

export class YsbSource implements Source {
  readonly kind = 'generator';
  readonly description: string;
  readonly format = { kind: 'json-lines' } as const;
  readonly replayable = true;
  readonly #options: YsbGeneratorOptions;

  constructor(options: YsbGeneratorOptions) {
    checkRate('ysbGenerator', options);
    this.#options = options;
    this.description = `ysb ${options.eventsPerSecond} events/s, seed ${options.seed ?? 1}`;
  }

  layout(context: SourceContext): Promise<JsonValue> {
    return Promise.resolve(pacedLayout(this.#options, context));
  }

  partitions(context: SourceContext): Promise<number> {
    return Promise.resolve(pacedLayout(this.#options, context).partitions);
  }

  async open(partition: number, context: SourceContext): Promise<SourceReader> {
    const { partitions } = pacedLayout(this.#options, context);
    const pacer = pacerOf(partition, this.#options, context);
    const startMs = this.#options.startMs ?? context.startMs;
    const writer = new YsbEventWriter(ysbShape(this.#options), startMs);
    return new YsbReader(pacer, writer, { partition, partitionCount: partitions });
  }

  async replayer(partition: number, context: SourceContext): Promise<SourceReplayer> {
    const { partitions: step } = pacedLayout(this.#options, context);
    const pacer = pacerOf(partition, this.#options, context);
    const startMs = this.#options.startMs ?? context.startMs;
    const writer = new YsbEventWriter(ysbShape(this.#options), startMs);
    const read = async (from: number, to: number): Promise<SourceChunk> => {
      pacer.check(to);
      if (from === to) return { from, to, ended: false, data: { kind: 'none' } };
      const buffer = new Buffer();
      buffer.reserve((to - from) * ysbEventBytesMax);
      let end = 0;
      // A call stops where a salt ends to hold.
      for (let at = from; at < to;) {
        const first = pacer.indexOf(at);
        const view = new DataView(buffer.bytes.buffer, end);
        end += writer.write(view, { first, step, count: to - at }, view.byteLength);
        at += (writer.nextIndex - first) / step;
      }
      const pieces = [pieceOf(buffer, { end, partition, from })];
      return { from, to, ended: false, data: { kind: 'bytes', pieces } };
    };
    return { read, close: () => Promise.resolve() };
  }
}

/** Where a chunk's bytes come from: as if each event before it had this many. */
const originBytes = 256;

function pieceOf(
  buffer: Buffer,
  at: { readonly end: number; readonly partition: number; readonly from: number },
): SourcePiece {
  return {
    bytes: buffer.bytes,
    start: 0,
    end: at.end,
    origin: `ysb generator, partition ${at.partition}`,
    originOffset: at.from * originBytes,
    columns: null,
  };
}

class YsbReader implements SourceReader {
  readonly #pacer: Pacer;
  readonly #writer: YsbEventWriter;
  readonly #partition: number;
  readonly #step: number;
  readonly #buffers = [new Buffer(), new Buffer()];
  #turn = 0;

  constructor(
    pacer: Pacer,
    writer: YsbEventWriter,
    place: { readonly partition: number; readonly partitionCount: number },
  ) {
    this.#pacer = pacer;
    this.#writer = writer;
    this.#partition = place.partition;
    this.#step = place.partitionCount;
  }

  take(bytesMax: number): SourceChunk {
    const from = this.#pacer.taken;
    const due = this.#pacer.backlog();
    if (due === 0) return { from, to: from, ended: this.#pacer.ended, data: { kind: 'none' } };
    const buffer = this.#buffers[this.#turn];
    this.#turn = 1 - this.#turn;
    const first = this.#pacer.indexOf(from);
    buffer.reserve(Math.min(due * ysbEventBytesMax, bytesMax));
    const end = this.#writer.write(buffer.view, { first, step: this.#step, count: due }, bytesMax);
    const count = (this.#writer.nextIndex - first) / this.#step;
    this.#pacer.advance(count);
    const pieces = [pieceOf(buffer, { end, partition: this.#partition, from })];
    const { ended } = this.#pacer;
    return { from, to: from + count, ended, data: { kind: 'bytes', pieces } };
  }

  ready(): boolean {
    return this.#pacer.ready();
  }

  onReady(listener: () => void): void {
    this.#pacer.onReady(listener);
  }

  finish(): void {
    this.#pacer.finish();
  }

  lag(): SourceLag {
    return this.#pacer.lag();
  }

  close(): Promise<void> {
    this.#pacer.close();
    return Promise.resolve();
  }
}

/** Grows to what was asked for at most, in powers of two, and is never given back. */
class Buffer {
  bytes = new Uint8Array(0);
  view = new DataView(this.bytes.buffer);

  reserve(byteCount: number): void {
    const needed = byteCount + 2 * 256;
    if (this.bytes.length >= needed) return;
    this.bytes = new Uint8Array(2 ** Math.ceil(Math.log2(Math.max(needed, 65_536))));
    this.view = new DataView(this.bytes.buffer);
  }
}
