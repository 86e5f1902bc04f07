// Error codes of Kafka that the connector knows, by their names in the protocol.
// [https://kafka.apache.org/protocol#protocol_error_codes]

export const kafkaErrors = {
  none: 0,
  offsetOutOfRange: 1,
  corruptMessage: 2,
  unknownTopicOrPartition: 3,
  leaderNotAvailable: 5,
  notLeaderOrFollower: 6,
  requestTimedOut: 7,
  brokerNotAvailable: 8,
  replicaNotAvailable: 9,
  messageTooLarge: 10,
  networkException: 13,
  coordinatorLoadInProgress: 14,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  invalidTopic: 17,
  recordListTooLarge: 18,
  notEnoughReplicas: 19,
  notEnoughReplicasAfterAppend: 20,
  topicAuthorizationFailed: 29,
  groupAuthorizationFailed: 30,
  clusterAuthorizationFailed: 31,
  topicAlreadyExists: 36,
  notController: 41,
  outOfOrderSequenceNumber: 45,
  duplicateSequenceNumber: 46,
  invalidProducerEpoch: 47,
  invalidTxnState: 48,
  invalidProducerIdMapping: 49,
  invalidTransactionTimeout: 50,
  concurrentTransactions: 51,
  transactionCoordinatorFenced: 52,
  transactionalIdAuthorizationFailed: 53,
  operationNotAttempted: 55,
  kafkaStorageError: 56,
  unknownProducerId: 59,
  fetchSessionIdNotFound: 70,
  fencedLeaderEpoch: 74,
  unknownLeaderEpoch: 75,
  offsetNotAvailable: 78,
  unstableOffsetCommit: 88,
  throttlingQuotaExceeded: 89,
  producerFenced: 90,
  unknownTopicId: 100,
  inconsistentTopicId: 103,
  transactionAbortable: 120,
} as const;

const names = new Map<number, string>(
  Object.entries(kafkaErrors).map(([name, code]) => [code, name]),
);

/** `UNKNOWN_TOPIC_OR_PARTITION`, for messages. */
export function kafkaErrorName(code: number): string {
  const name = names.get(code);
  if (name === undefined) return `Kafka's error ${code}`;
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
