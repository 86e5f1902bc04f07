// Range logs in topics of Kafka: which ones a pipeline has ever written to stands in its store, so
// that a run which logs elsewhere still finds what was logged there.

import { FieldProblem, JsonField } from '../../control/storage/json-fields.ts';
import type { PipelineKeys } from '../../control/storage/pipeline-keys.ts';
import { sealJson, unsealJson } from '../../control/storage/sealed-json.ts';
import { storageError } from '../../control/storage/storage-errors.ts';
import { StreamError } from '../../base/stream-error.ts';
import { canonicalJson } from '../../base/canonical-json.ts';
import type { BlobStore, StoredBlob } from '../../ports/blob-store.ts';
import type { KafkaLogAddress } from '../../ports/kafka-address.ts';
import type { RangeLog } from '../../ports/range-log.ts';

export type KafkaLogs = {
  /** New ranges go to the first; false: to the store's own log, or its host's. */
  readonly writes: boolean;
  /** Each once. */
  readonly logs: readonly KafkaLogAddress[];
};

export const noKafkaLogs: KafkaLogs = { writes: false, logs: [] };

/** Only the holder of the lease may. `chosen`: where this run logs; null: not in Kafka. */
export async function rememberKafkaLogs(
  store: BlobStore,
  { rangeLogs, pipeline }: PipelineKeys,
  chosen: KafkaLogAddress | null,
): Promise<KafkaLogs> {
  const stored = await store.get(rangeLogs);
  const known = stored === null ? [] : decode(stored, rangeLogs);
  if (chosen === null) return { writes: false, logs: known };
  const isChosen = (other: KafkaLogAddress): boolean => placeOf(other) === placeOf(chosen);
  const logs = [chosen, ...known.filter((other) => !isChosen(other))];
  if (canonicalJson(logs) === canonicalJson(known)) return { writes: true, logs };
  const { bytes } = sealJson(logs);
  const isWritten =
    stored === null
      ? await store.create(rangeLogs, bytes)
      : (await store.replace(rangeLogs, bytes, stored.tag)) !== null;
  if (!isWritten) throw overtaken(pipeline);
  return { writes: true, logs };
}

export async function openKafkaLogs(
  { logs }: KafkaLogs,
  of: { readonly pipeline: string; readonly history: string },
): Promise<readonly RangeLog[]> {
  if (logs.length === 0) return [];
  // The client is loaded by those who use it only.
  const { openKafkaLog } = await import('../../connectors/kafka/sockets/open-range-log.ts');
  return Promise.all(logs.map((address) => openKafkaLog(address, of)));
}

/** It is kept in the store and goes to every host: secrets must be references. */
export function checkLogAddress(address: KafkaLogAddress): void {
  const { sasl, tls } = address;
  const secrets = {
    'sasl.password': sasl?.password,
    'sasl.token': sasl?.token,
    'tls.key': typeof tls === 'object' ? tls.key : undefined,
  };
  for (const [name, value] of Object.entries(secrets)) {
    if (typeof value !== 'string') continue;
    throw new StreamError({
      code: 'invalid-option',
      message: `could not use checkpoints.rangeLog: its ${name} is a text`,
      hint: "name what holds it: { env: 'KAFKA_PASSWORD' } or { file: '/path' }",
      fields: { option: `checkpoints.rangeLog.kafka.${name}` },
    });
  }
}

/** Brokers may come and go: it is the topic that says which log it is. */
function placeOf({ topic, brokers }: KafkaLogAddress): string {
  return canonicalJson([topic ?? null, brokers]);
}

function decode({ bytes }: StoredBlob, key: string): readonly KafkaLogAddress[] {
  const sealed = unsealJson(bytes);
  if ('problem' in sealed) throw damaged(key, sealed.problem);
  try {
    const addresses = new JsonField(sealed.content).list(({ value }) => value);
    return addresses as unknown as readonly KafkaLogAddress[];
  } catch (error) {
    throw error instanceof FieldProblem ? damaged(key, error.message) : error;
  }
}

function overtaken(pipeline: string): Error {
  return storageError({
    code: 'lease-lost',
    message: `could not start "${pipeline}": another driver has said where its ranges are logged`,
    hint: 'another driver has taken over; this one must stop',
    fields: { pipeline },
  });
}

function damaged(key: string, problem: string): Error {
  return storageError({
    code: 'range-log-damaged',
    message: `could not read "${key}": ${problem}`,
    hint: 'it says in which topics ranges are logged: restore it from a backup',
    fields: { key },
  });
}
