// A topic as a source. A source partition is a partition of the topic, and its offsets are Kafka's.

import { NewlineSearch } from '../../data/codegen/newline-search.ts';
import type { SourceFormat } from '../../plan/logical-plan.ts';
import type { KafkaPlatform } from '../../ports/kafka-wire.ts';
import type { Source, SourceContext, SourceReader, SourceReplayer } from '../../ports/source.ts';
import type { TypedSource } from '../../ports/typed.ts';
import type { JsonValue, RowObject } from '../../schema/data-type.ts';
import { rowNester } from '../../schema/nested-rows.ts';
import type { Schema } from '../../schema/schema.ts';
import type { Columns } from '../../schema/value-type.ts';
import { FetchHub } from './fetch-hub.ts';
import type { FetchBounds } from './fetch-loop.ts';
import { describeBrokers, patienceMsDefault, resolveAddress } from './kafka-address.ts';
import { KafkaClient } from './kafka-client.ts';
import { layOut, layoutOf } from './kafka-layout.ts';
import type { KafkaLayout } from './kafka-layout.ts';
import { KafkaReader, prepareAll } from './kafka-reader.ts';
import { KafkaReplayer } from './kafka-replayer.ts';
import { OffsetCommits } from './offset-commits.ts';
import { PartitionWatch } from './partition-watch.ts';
import { RecordStream } from './record-stream.ts';
import type { RecordForm } from './record-stream.ts';
import { RowDecoder } from './row-decoder.ts';
import { checkSourceOptions, contentOf } from './source-options.ts';
import type { KafkaContent, KafkaSourceOptions } from './source-options.ts';
import { LineSplicer } from './splice-lines.ts';

export function makeKafkaSource<C extends Columns>(
  options: KafkaSourceOptions<keyof C & string> & { readonly schema: Schema<C> },
  platform: KafkaPlatform,
): TypedSource<C> {
  const { schema } = options;
  return { source: new KafkaSource(options as SourceSetup, platform), schema };
}

type SourceSetup = KafkaSourceOptions & { readonly schema: Schema };

const bufferBytesDefault = 32 << 20;
/** What waits of one partition: enough for the next take while answers come. */
const partitionBytesMax = 8 << 20;
const partitionBytesMin = 128 << 10;
const fetchBytesDefault = 16 << 20;
const fetchWaitMsDefault = 500;

/** What the readers of one thread share while one of them is open. */
type Connection = {
  readonly client: KafkaClient;
  readonly hub: FetchHub;
  readonly commits: OffsetCommits | null;
  readonly watches: Set<PartitionWatch>;
  users: number;
};

export class KafkaSource implements Source {
  readonly kind = 'kafka';
  readonly description: string;
  readonly format: SourceFormat;
  readonly replayable = true;
  readonly #options: SourceSetup;
  readonly #platform: KafkaPlatform;
  readonly #content: KafkaContent;
  #connection: Connection | null = null;
  #search: NewlineSearch | null = null;

  constructor(options: SourceSetup, platform: KafkaPlatform) {
    checkSourceOptions(options);
    this.#options = options;
    this.#platform = platform;
    this.#content = contentOf(options, options.schema);
    this.description = `topic "${options.topic}" at ${describeBrokers(options)}`;
    this.format = { kind: this.#content.kind === 'rows' ? 'rows' : 'json-lines' };
  }

  async layout(context: SourceContext): Promise<JsonValue> {
    const { topic, from = 'earliest', until, isolation = 'read-committed' } = this.#options;
    const bounded = until === 'latest';
    const connection = this.#connect();
    try {
      const options = { topic, from, bounded, isolation };
      const { client } = connection;
      return (await layOut(client, options, layoutOf(context.layout))) as unknown as JsonValue;
    } finally {
      await this.#release(connection);
    }
  }

  async partitions(context: SourceContext): Promise<number> {
    return (await this.#layoutOf(context)).starts.length;
  }

  async open(partition: number, context: SourceContext): Promise<SourceReader> {
    const layout = await this.#layoutOf(context);
    const { topicId, starts, ends } = layout;
    const start = starts[partition]!;
    const bounds = this.#bounds(starts.length);
    const connection = this.#connect();
    const { hub, commits, watches } = connection;
    // One reader of the run is enough.
    const watch = partition === 0 ? this.#watchOf(connection, layout, context) : null;
    if (watch !== null) watches.add(watch);
    const shared = this.#shared(connection, partition, start);
    const form = this.#formOf(partition);
    return new KafkaReader({
      ...shared,
      onClose: () => {
        if (watch !== null) watches.delete(watch);
        return shared.onClose();
      },
      topicId,
      hub,
      platform: this.#platform,
      stream: this.#stream(partition, form, context.from ?? start),
      prepares: form.kind === 'rows' && form.decoder.prepares ? form.decoder : null,
      bufferBytesMax: bounds.bufferBytes,
      end: ends?.[partition] ?? Number.POSITIVE_INFINITY,
      onTaken: (position) => commits?.take(partition, position),
    });
  }

  async replayer(partition: number, context: SourceContext): Promise<SourceReplayer> {
    const { topicId, starts } = await this.#layoutOf(context);
    const form = this.#formOf(partition);
    const decoder = form.kind === 'rows' && form.decoder.prepares ? form.decoder : null;
    const { codecs } = this.#platform;
    return new KafkaReplayer({
      ...this.#shared(this.#connect(), partition, starts[partition]!),
      topicId,
      bounds: this.#bounds(1),
      streamFrom: (position) => this.#stream(partition, form, position),
      prepare: async (records) => {
        if (decoder !== null) await prepareAll(decoder, records, codecs);
      },
    });
  }

  /** Null: a bounded run ends where the topic ended when it began. */
  #watchOf(
    { client: { wire } }: Connection,
    { topicId, starts, ends }: KafkaLayout,
    { warn }: SourceContext,
  ): PartitionWatch | null {
    if (ends !== null) return null;
    const { topic } = this.#options;
    const clock = this.#platform;
    return new PartitionWatch({ wire, clock, topic, topicId, count: starts.length, warn });
  }

  #shared(connection: Connection, partition: number, start: number) {
    const { topic, from = 'earliest', isolation = 'read-committed' } = this.#options;
    const { onRetention = 'fail' } = this.#options;
    // Where all begins at the earliest record, it may well be a later one by the time of reading.
    const onRetentionAtStart =
      onRetention === 'fail' && from === 'earliest' ? 'earliest' : onRetention;
    const { client } = connection;
    const onClose = (): Promise<void> => this.#release(connection);
    return { topic, partition, start, isolation, client, onRetention, onRetentionAtStart, onClose };
  }

  #bounds(partitionCount: number): FetchBounds & { readonly bufferBytes: number } {
    const {
      bufferBytes: total = bufferBytesDefault,
      fetchBytes = fetchBytesDefault,
      fetchWaitMs = fetchWaitMsDefault,
    } = this.#options;
    const share = Math.max(partitionBytesMin, Math.floor(total / partitionCount));
    const bufferBytes = Math.min(share, partitionBytesMax);
    return {
      bufferBytes,
      waitMsMax: fetchWaitMs,
      // As much as this may come on top.
      partitionBytesMax: Math.min(bufferBytes >>> 2, fetchBytes),
      answerBytesMax: fetchBytes,
    };
  }

  #stream(partition: number, form: RecordForm, position: number): RecordStream {
    const { topic, checkCrc = true } = this.#options;
    const { codecs } = this.#platform;
    this.#search ??= new NewlineSearch();
    return new RecordStream({
      topic,
      partition,
      form,
      codecs,
      checkCrc,
      search: this.#search,
      position,
    });
  }

  #formOf(partition: number): RecordForm {
    const content = this.#content;
    if (content.kind === 'json') return { kind: 'lines' };
    if (content.kind === 'spliced') {
      return { kind: 'spliced', splicer: new LineSplicer({ ...content, partition }) };
    }
    const nest = rowNester(this.#options.schema) as (row: RowObject) => RowObject;
    const decoder = new RowDecoder({ decoder: content.decoder, nest, partition });
    return { kind: 'rows', decoder };
  }

  #connect(): Connection {
    this.#connection ??= this.#newConnection();
    this.#connection.users++;
    return this.#connection;
  }

  #newConnection(): Connection {
    const { topic, group, isolation = 'read-committed' } = this.#options;
    const { patienceMs = patienceMsDefault } = this.#options;
    const platform = this.#platform;
    const wire = platform.open(resolveAddress(this.#options, platform));
    const client = new KafkaClient(wire, { clock: platform, patienceMs });
    const commits =
      group === undefined ? null : new OffsetCommits({ wire, clock: platform, group, topic });
    const watches = new Set<PartitionWatch>();
    const onTurn = (): void => {
      commits?.tick();
      for (const watch of watches) watch.tick();
    };
    const bounds = this.#bounds(1);
    const hub = new FetchHub({ client, clock: platform, isolation, bounds, patienceMs, onTurn });
    return { client, hub, commits, watches, users: 0 };
  }

  async #release(connection: Connection): Promise<void> {
    connection.users--;
    if (connection.users > 0) return;
    if (this.#connection === connection) this.#connection = null;
    await connection.commits?.close();
    await connection.client.close();
  }

  /** As agreed for the run, or as things are where nothing was agreed (one thread). */
  async #layoutOf(context: SourceContext): Promise<KafkaLayout> {
    return layoutOf(context.layout) ?? (layoutOf(await this.layout(context)) as KafkaLayout);
  }
}
