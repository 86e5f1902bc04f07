// How one kind of request is written and its answer is read, and which of its versions a broker
// and this client have in common.

import { StreamError } from '../../../base/stream-error.ts';
import type { AnswerReader } from './answer-reader.ts';
import type { RequestWriter } from './request-writer.ts';

export type WireApi<Asked, Answer> = {
  readonly name: string;
  readonly key: number;
  readonly versionMin: number;
  readonly versionMax: number;
  write(writer: RequestWriter, asked: Asked, version: number): void;
  read(reader: AnswerReader, asked: Asked, version: number): Answer;
};

export type VersionRange = { readonly min: number; readonly max: number };

export type BrokerVersions = ReadonlyMap<number, VersionRange>;

type Chosen = {
  readonly api: Pick<WireApi<never, unknown>, 'name' | 'key' | 'versionMin' | 'versionMax'>;
  readonly broker: string;
  readonly versions: BrokerVersions;
};

/** The newest that both have. Throws `kafka-too-old`. */
export function chooseVersion({ api, broker, versions }: Chosen): number {
  const offered = versions.get(api.key);
  const version = Math.min(api.versionMax, offered?.max ?? -1);
  if (offered !== undefined && version >= api.versionMin && version >= offered.min) return version;
  const has = offered === undefined ? 'none' : `${offered.min} to ${offered.max}`;
  throw tooOld(broker, `it needs ${api.name} of version ${api.versionMin}, the broker has ${has}`);
}

export function tooOld(broker: string, why: string): StreamError {
  return new StreamError({
    code: 'kafka-too-old',
    message: `could not talk to the Kafka broker at ${broker}: ${why}`,
    hint: 'use Kafka 3.1 or newer',
    fields: { broker },
  });
}
