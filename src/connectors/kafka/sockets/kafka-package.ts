// The package that speaks to Kafka, an optional peer of ours: loaded when the first cluster is
// sought, so that nobody needs it who does not use Kafka. What is taken from it: connections with
// TLS and SASL, and the compressions that Node does not have.

import type * as kafka from '@platformatic/kafka';
import { createRequire } from 'node:module';
import { StreamError } from '../../../base/stream-error.ts';

export type KafkaPackage = typeof kafka;

let loaded: KafkaPackage | null = null;

/** Synchronous, as the codecs are. Throws `package-missing`. */
export function kafkaPackage(): KafkaPackage {
  loaded ??= load();
  return loaded;
}

function load(): KafkaPackage {
  try {
    return createRequire(import.meta.url)('@platformatic/kafka') as KafkaPackage;
  } catch (cause) {
    throw new StreamError({
      code: 'package-missing',
      message: 'could not load the package "@platformatic/kafka", which talks to Kafka',
      hint: 'install it beside mizzle, on all hosts: npm install @platformatic/kafka',
      fields: { package: '@platformatic/kafka' },
      cause,
    });
  }
}
