// Where a Kafka cluster is and how to be let in, as users say it: plain data, in which secrets may
// be references to the environment, which every host resolves for itself.

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

/** A range log in a topic of Kafka. */
export type KafkaLogAddress = KafkaAddress & {
  /**
   * For this pipeline's log alone; made where there is none, and nobody else may write to it.
   * Default: `mizzle.<pipeline>.ranges`.
   */
  readonly topic?: string;
  /** Of a topic that is made: how many brokers have each record. Default: as the brokers say. */
  readonly replication?: number;
};
