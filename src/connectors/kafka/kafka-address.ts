// What becomes of an address of Kafka on a host: its secrets are looked up.

import { StreamError } from '../../base/stream-error.ts';
import type { KafkaAddress, TextOrEnv } from '../../ports/kafka-address.ts';
import type { KafkaConnection, KafkaPlatform, KafkaTls } from '../../ports/kafka-wire.ts';

export const patienceMsDefault = 60_000;

const connectTimeoutMs = 5_000;
const requestTimeoutMs = 30_000;

/** For error texts and plans: never a secret. */
export function describeBrokers({ brokers }: KafkaAddress): string {
  if (typeof brokers === 'string') return brokers;
  return 'env' in brokers ? `$${brokers.env}` : brokers.join(',');
}

/** Throws `option-invalid` and `environment-missing`. */
export function resolveAddress(
  address: KafkaAddress,
  environment: KafkaPlatform['environment'],
): KafkaConnection {
  const text = (value: TextOrEnv): string => {
    if (typeof value === 'string') return value;
    const found = environment(value.env);
    if (found !== undefined && found !== '') return found;
    throw new StreamError({
      code: 'environment-missing',
      message: `could not reach Kafka: the environment variable ${value.env} is not set`,
      hint: `set ${value.env} on every host that runs the pipeline`,
      fields: { variable: value.env },
    });
  };
  const { brokers: given, tls, sasl, clientId = 'mizzle' } = address;
  const listed = typeof given === 'string' || 'env' in given ? text(given).split(',') : given;
  const brokers = listed.map((broker) => broker.trim()).filter((broker) => broker !== '');
  for (const broker of brokers) checkBroker(broker);
  if (brokers.length === 0) refuse('no brokers are given', "give one as 'host:9092'");
  const login = sasl === undefined ? null : optionalTexts(sasl, text);
  return {
    brokers,
    clientId,
    tls: typeof tls === 'object' ? (optionalTexts(tls, text) as KafkaTls) : (tls ?? false),
    sasl: login as KafkaConnection['sasl'],
    connectTimeoutMs,
    requestTimeoutMs,
  };
}

function optionalTexts(options: object, text: (value: TextOrEnv) => string): object {
  const entries = Object.entries(options).map(([name, value]: [string, unknown]) => {
    const isReference = typeof value === 'object' && value !== null && 'env' in value;
    return [name, isReference ? text(value as TextOrEnv) : value] as const;
  });
  return Object.fromEntries(entries);
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
