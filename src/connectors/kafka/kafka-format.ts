// What an encoding of keys and values gives to the Kafka source and sink.

import type { RowObject, RowSchema } from '../../schema/data-type.ts';

/** Made by `avro()` and `protobuf()`; holds no connection until a record comes. */
export type KafkaFormat = {
  readonly kind: 'avro' | 'protobuf';
  /** For plans and messages. */
  readonly description: string;
  decoder(use: FormatUse): FormatDecoder;
  encoder(use: FormatUse): KafkaEncoder;
};

export type FormatUse = {
  readonly topic: string;
  readonly part: 'key' | 'value';
  readonly schema: RowSchema;
};

/** Gives rows by column name. What it throws makes a bad record. */
export type FormatDecoder = {
  decode(value: Uint8Array): RowObject;
  /**
   * To be called, and what it gives be waited for, before `decode`. Rejects where no record of the
   * value's schema can be read.
   */
  prepare(value: Uint8Array): Promise<unknown> | undefined;
};

export type KafkaEncoder = {
  /** Once, before rows are encoded. Rejects where rows do not fit the schema. */
  prepare(): Promise<void>;
  /** Throws `row-refused`. The bytes are the caller's. */
  encode(row: RowObject): Uint8Array;
};
