// What users may say about a Kafka source, and what is wrong with what they say.

import { StreamError } from '../../base/stream-error.ts';
import type { Isolation } from '../../ports/kafka-wire.ts';
import type { Field, RowSchema } from '../../schema/data-type.ts';
import type { KafkaAddress } from '../../ports/kafka-address.ts';
import type { KafkaStart } from './kafka-layout.ts';
import type { OnRetention } from './kafka-reader.ts';
import type { KafkaFormat } from './kafka-format.ts';
import type { KafkaDecoder } from './row-decoder.ts';
import type { KafkaColumn, SplicedMember } from './splice-lines.ts';

export type KafkaSourceOptions<Name extends string = string> = KafkaAddress & {
  readonly topic: string;
  /** Where a run begins that resumes nothing. Default: the earliest record there is. */
  readonly from?: KafkaStart;
  /** `latest`: ends where the topic ends when the run starts. Default: reads on for ever. */
  readonly until?: 'latest';
  /**
   * `json`: each value is a JSON object. `text`: the value is the column of the schema that
   * `columns` does not name. `avro()` and `protobuf()`, or a function of your own for other
   * encodings. Default: `json`.
   */
  readonly format?: 'json' | 'text' | KafkaDecoder | KafkaFormat;
  /** Columns of the schema that are not in the value. They win over members of the same name. */
  readonly columns?: { readonly [N in Name]?: KafkaColumn };
  /** What to do when retention has removed records before they were read. Default: `fail`. */
  readonly onRetention?: OnRetention;
  /** Default: `read-committed`. */
  readonly isolation?: Isolation;
  /** Positions are committed here for tools that show lag. The run itself never reads them. */
  readonly group?: string;
  /** Records that wait in memory, over all partitions of a worker. Default 32 MiB. */
  readonly bufferBytes?: number;
  /** Of one answer of a broker. Default 16 MiB. */
  readonly fetchBytes?: number;
  /** How long a broker may hold a request while there is nothing new, ms. Default 500. */
  readonly fetchWaitMs?: number;
  /** Default true. */
  readonly checkCrc?: boolean;
};

export type KafkaContent =
  | { readonly kind: 'json' }
  | {
      readonly kind: 'spliced';
      readonly members: readonly SplicedMember[];
      readonly textMember: string | null;
    }
  | { readonly kind: 'rows'; readonly decoder: KafkaDecoder };

/** What a record's value is, with the columns that are added to it. Throws `option-invalid`. */
export function contentOf(
  { topic, format = 'json', columns = {} }: KafkaSourceOptions,
  schema: RowSchema,
): KafkaContent {
  const members = Object.entries(columns).flatMap(([name, column]): SplicedMember[] => {
    if (column === undefined) return [];
    return [{ name: memberOf(schema, name), column: checkColumn(name, column) }];
  });
  if (typeof format === 'object') {
    const decoder = 'decoder' in format ? format.decoder({ topic, part: 'value', schema }) : format;
    if (members.length === 0) return { kind: 'rows', decoder };
    return refuse('columns are given next to a decoder', 'let the decoder add them to its rows');
  }
  if (format === 'json') {
    return members.length === 0 ? { kind: 'json' } : { kind: 'spliced', members, textMember: null };
  }
  if (format !== 'text') {
    return refuse(`the format "${String(format)}" is unknown`, "give 'json', 'text' or a decoder");
  }
  const left = schema.fields.filter(({ name }) => !Object.hasOwn(columns, name));
  const [value] = left;
  if (left.length !== 1 || value?.type.kind !== 'string' || value.path.length !== 1) {
    return refuse(
      'text fills one column, and the schema does not leave one column of strings for it',
      'give a schema such as schema({ value: string() })',
    );
  }
  return { kind: 'spliced', members, textMember: value.path[0]! };
}

export function checkSourceOptions(options: KafkaSourceOptions): void {
  const { topic, bufferBytes = 1, fetchBytes = 1, fetchWaitMs = 1 } = options;
  if (topic === '') refuse('no topic is given', "name one: topic: 'orders'");
  for (const [name, value] of Object.entries({ bufferBytes, fetchBytes, fetchWaitMs })) {
    if (Number.isInteger(value) && value > 0) continue;
    refuse(`${name} is ${value}`, 'give a whole number from 1');
  }
}

/** What the record's member is called; nested ones would have to be made first. */
function memberOf(schema: RowSchema, name: string): string {
  const field: Field | undefined = schema.fields.find((each) => each.name === name);
  if (field === undefined) {
    return refuse(`the schema has no column "${name}"`, 'add it to the schema, or leave it out');
  }
  if (field.path.length === 1) return field.path[0]!;
  return refuse(`the column "${name}" is a nested one`, 'use a column of the outermost level');
}

function checkColumn(name: string, column: KafkaColumn): KafkaColumn {
  const kinds: readonly unknown[] = ['key', 'offset', 'partition', 'timestamp'];
  if (kinds.includes(column) || typeof (column as { header?: unknown }).header === 'string') {
    return column;
  }
  const hint = "give 'key', 'offset', 'partition', 'timestamp' or { header: 'name' }";
  return refuse(`it is not clear what column "${name}" holds`, hint);
}

function refuse(what: string, hint: string): never {
  const message = `could not set up "kafka": ${what}`;
  throw new StreamError({ code: 'option-invalid', message, hint, fields: { source: 'kafka' } });
}
