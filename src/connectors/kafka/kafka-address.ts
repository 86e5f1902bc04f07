// What becomes of an address of Kafka on a host: its secrets are looked up.

import { StreamError } from '../../base/stream-error.ts';
import type { KafkaAddress, TextOrReference } from '../../ports/kafka-address.ts';
import type { KafkaConnection, KafkaTls } from '../../ports/kafka-wire.ts';
import { describeReference, lookUp } from './text-reference.ts';
import type { Surroundings } from './text-reference.ts';

export const patienceMsDefault = 60_000;

const connectTimeoutMs = 5_000;
const requestTimeoutMs = 30_000;

/** For error texts and plans: never a secret. */
export function describeBrokers({ brokers }: KafkaAddress): string {
  return isList(brokers) ? brokers.join(',') : describeReference(brokers);
}

/** Throws `option-invalid`, `environment-missing` and `file-unreadable`. */
export function resolveAddress(address: KafkaAddress, from: Surroundings): KafkaConnection {
  const text = (value: TextOrReference): string => lookUp(value, 'reach Kafka', from);
  const { brokers: given, tls, sasl, clientId = 'mizzle' } = address;
  const listed = isList(given) ? given : text(given).split(',');
  const brokers = listed.map((broker) => broker.trim()).filter((broker) => broker !== '');
  for (const broker of brokers) checkBroker(broker);
  if (brokers.length === 0) refuse('no brokers are given', "give one as 'host:9092'");
  const login = sasl === undefined ? null : optionalTexts(sasl, text);
  return {
    brokers,
    clientId,
    tls: typeof tls === 'object' ? checkTls(optionalTexts(tls, text)) : (tls ?? false),
    sasl: login as KafkaConnection['sasl'],
    connectTimeoutMs,
    requestTimeoutMs,
  };
}

function isList(brokers: KafkaAddress['brokers']): brokers is readonly string[] {
  return Array.isArray(brokers);
}

function optionalTexts(options: object, text: (value: TextOrReference) => string): object {
  const entries = Object.entries(options).map(([name, value]: [string, unknown]) => {
    const isReference = typeof value === 'object' && value !== null;
    return [name, isReference ? text(value as TextOrReference) : value] as const;
  });
  return Object.fromEntries(entries);
}

/** Anything else would be passed over, and nobody be trusted. */
function checkTls(tls: KafkaTls): KafkaTls {
  for (const name of ['ca', 'cert', 'key'] as const) {
    const text = tls[name];
    if (text === undefined || text.includes('-----BEGIN ')) continue;
    refuse(`tls.${name} is not PEM`, `give the text, or { file: '/path/to/${name}.pem' }`);
  }
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    refuse('of tls.cert and tls.key only one is given', 'give both, or none');
  }
  return tls;
}

function checkBroker(broker: string): void {
  const port = Number(/^.+:(\d{1,5})$/.exec(broker)?.[1] ?? Number.NaN);
  if (port > 0 && port < 65_536) return;
  refuse(`"${broker}" is not an address of a broker`, "write it as 'host:9092'");
}

function refuse(what: string, hint: string): never {
  const message = `could not set up Kafka: ${what}`;
  throw new StreamError({ code: 'option-invalid', message, hint, fields: {} });
}
