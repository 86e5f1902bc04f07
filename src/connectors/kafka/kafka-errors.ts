// What users are told about Kafka: what was tried, what the cluster said, what to do.

import { StreamError } from '../../base/stream-error.ts';
import { kafkaErrorName, kafkaErrors } from './error-codes.ts';
import { WireFailure } from '../../ports/kafka-wire.ts';

/** The cause is in time gone by itself: ask again, perhaps somebody else. */
export function isTransient(code: number): boolean {
  return transient.has(code);
}

const transient = new Set<number>([
  kafkaErrors.leaderNotAvailable,
  kafkaErrors.notLeaderOrFollower,
  kafkaErrors.requestTimedOut,
  kafkaErrors.brokerNotAvailable,
  kafkaErrors.replicaNotAvailable,
  kafkaErrors.networkException,
  kafkaErrors.coordinatorLoadInProgress,
  kafkaErrors.coordinatorNotAvailable,
  kafkaErrors.notCoordinator,
  kafkaErrors.notEnoughReplicas,
  kafkaErrors.notEnoughReplicasAfterAppend,
  kafkaErrors.notController,
  kafkaErrors.concurrentTransactions,
  kafkaErrors.kafkaStorageError,
  kafkaErrors.fencedLeaderEpoch,
  kafkaErrors.unknownLeaderEpoch,
  kafkaErrors.offsetNotAvailable,
  kafkaErrors.unstableOffsetCommit,
  kafkaErrors.throttlingQuotaExceeded,
]);

/** The answer says that somebody else is to be asked now. */
export function isMisdirected(code: number): boolean {
  return misdirected.has(code);
}

const misdirected = new Set<number>([
  kafkaErrors.unknownTopicOrPartition,
  kafkaErrors.unknownTopicId,
  kafkaErrors.inconsistentTopicId,
  kafkaErrors.leaderNotAvailable,
  kafkaErrors.notLeaderOrFollower,
  kafkaErrors.brokerNotAvailable,
  kafkaErrors.replicaNotAvailable,
  kafkaErrors.coordinatorNotAvailable,
  kafkaErrors.notCoordinator,
  kafkaErrors.kafkaStorageError,
  kafkaErrors.fencedLeaderEpoch,
  kafkaErrors.unknownLeaderEpoch,
]);

export type Attempt = {
  /** `read the topic "orders"`: goes behind "could not". */
  readonly what: string;
  /** Bootstrap brokers. */
  readonly at: string;
};

/** For a code that no waiting mends. */
export function kafkaRefusal(code: number, { what, at }: Attempt, detail?: string): StreamError {
  const name = kafkaErrorName(code);
  const { code: own, hint } = advice(code);
  const said = detail === undefined || detail === '' ? name : `${name}, ${detail}`;
  return new StreamError({
    code: own,
    message: `could not ${what} at ${at}: ${said}`,
    hint,
    fields: { brokers: at, kafka: name },
  });
}

export function kafkaUnreachable({ what, at }: Attempt, cause: unknown, ms: number): StreamError {
  const said = cause instanceof Error ? cause.message : String(cause);
  return new StreamError({
    code: 'kafka-unreachable',
    message: `could not ${what} at ${at} within ${ms} ms: ${said}`,
    hint:
      'check that the brokers run, that their advertised listeners can be reached from here, and ' +
      'that `tls` and `sasl` are what they ask for',
    fields: { brokers: at },
    cause,
  });
}

export function isWireFailure(error: unknown): error is WireFailure {
  return error instanceof WireFailure;
}

function advice(code: number): { readonly code: string; readonly hint: string } {
  switch (code) {
    case kafkaErrors.unknownTopicOrPartition:
    case kafkaErrors.unknownTopicId:
    case kafkaErrors.invalidTopic:
      return { code: 'topic-unknown', hint: 'create the topic, or correct its name' };
    case kafkaErrors.topicAuthorizationFailed:
    case kafkaErrors.groupAuthorizationFailed:
    case kafkaErrors.clusterAuthorizationFailed:
    case kafkaErrors.transactionalIdAuthorizationFailed:
      return {
        code: 'kafka-permission',
        hint: 'give this user the permission (an ACL) for what was tried',
      };
    case kafkaErrors.messageTooLarge:
    case kafkaErrors.recordListTooLarge:
      return {
        code: 'record-too-large',
        hint: 'raise max.message.bytes of the topic, or write smaller rows',
      };
    case kafkaErrors.invalidTransactionTimeout:
      return {
        code: 'option-invalid',
        hint: "choose a transactionTimeoutMs below the brokers' transaction.max.timeout.ms",
      };
    default:
      return { code: 'kafka-refused', hint: "see the broker's log" };
  }
}
