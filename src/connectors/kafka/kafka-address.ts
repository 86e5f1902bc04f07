// Where a Kafka cluster is and how to be let in, as users say it in a pipeline: secrets may be
// references to the environment, which every host resolves for itself.

import { StreamError } from '../../base/stream-error.ts';
import type { KafkaConnection, KafkaPlatform, KafkaTls } from '../../ports/kafka-wire.ts';

/** A text, or the environment variable that holds it. */
export type TextOrEnv = string | { readonly env: string };

export type KafkaAddress = {
  /** `host:port`, or several, also with commas between; or the variable that holds them. */
  readonly brokers: TextOrEnv | readonly string[];
  /** True: TLS by the system's certificates. Texts are PEM. Default: none. */
  readonly tls?: boolean | KafkaTlsOptions;
  readonly sasl?: KafkaSaslOptions;
  /** As it shows in the brokers' logs and quotas. Default: `mizzle`. */
  readonly clientId?: string;
  /** For how long a cluster is sought, or asked again, before the run fails, ms. Default 60,000. */
  readonly patienceMs?: number;
};

export type KafkaTlsOptions = {
  readonly ca?: TextOrEnv;
  readonly cert?: TextOrEnv;
  readonly key?: TextOrEnv;
  readonly servername?: string;
  /** False accepts any certificate: for trials only. */
  readonly rejectUnauthorized?: boolean;
};

export type KafkaSaslOptions = {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER';
  readonly username?: TextOrEnv;
  readonly password?: TextOrEnv;
  readonly token?: TextOrEnv;
};

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
