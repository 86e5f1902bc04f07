// Where a Kafka cluster is and how to be let in, as users say it: plain data, in which secrets may
// be references to the environment or to files, which every host resolves for itself.

/** A text, or the environment variable or the file that holds it. */
export type TextOrReference = string | { readonly env: string } | { readonly file: string };

export type KafkaAddress = {
  /** `host:port`, or several, also with commas between; or the variable that holds them. */
  readonly brokers: TextOrReference | readonly string[];
  /** True: TLS with a broker whose certificate Node trusts by itself. Default: none. */
  readonly tls?: boolean | KafkaTlsOptions;
  readonly sasl?: KafkaSaslOptions;
  /** As it shows in the brokers' logs and quotas. Default: `mizzle`. */
  readonly clientId?: string;
  /** For how long a cluster is sought, or asked again, before the run fails, ms. Default 60,000. */
  readonly patienceMs?: number;
};

/** Certificates and key are PEM, here or by reference: `{ file: '/etc/kafka/ca.pem' }`. */
export type KafkaTlsOptions = {
  /** Of the authorities that may have signed the brokers'. Default: those that Node trusts. */
  readonly ca?: TextOrReference;
  /** Ours, and its key without a passphrase, where brokers ask for one (mutual TLS). */
  readonly cert?: TextOrReference;
  readonly key?: TextOrReference;
  /** What the brokers' certificates must be of. Default: the host of each. */
  readonly servername?: string;
  /** False accepts any certificate: for trials only. */
  readonly rejectUnauthorized?: boolean;
};

export type KafkaSaslOptions = {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER';
  readonly username?: TextOrReference;
  readonly password?: TextOrReference;
  readonly token?: TextOrReference;
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
