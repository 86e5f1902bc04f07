// Bugs of the Kafka connector, and of the way from the engine to it, that simulations must find.
//
// Not here, because it takes answers that brokers hardly give: a writer that does not fence what it
// has sent itself outside of transactions, before it looks (kafka-sink.test.ts has it).
//
// Not here, because the brokers keep it out by themselves: a Produce of a transaction that is sent
// again under its old numbers after no answer has come. Its sequence numbers are used up by then,
// and the coordinator knows what is in the transaction [KIP-890].
// Nor, because they only cost a round: writers of one term whose order is lost, and one that goes
// on when its sink partition has been elsewhere. Who should not be fenced is taken for dead, and
// somebody else writes the same.

import type { Mutation } from './mutations.ts';

const sink = 'src/connectors/kafka/kafka-sink.ts';
const writer = 'src/connectors/kafka/transaction-writer.ts';
const producer = 'src/connectors/kafka/kafka-producer.ts';
const ledger = 'src/connectors/kafka/sink-ledger.ts';
const visible = 'src/connectors/kafka/visible-batches.ts';
const reader = 'src/connectors/kafka/kafka-reader.ts';

const look = 'const before = await this.#ledger.newest(this.#key, isOver);';
const askEnd =
  '.endTransaction(broker, asked)\n' +
  '        .catch((error: unknown) => this.#unanswered(error));';

export const sinkMutations: readonly Mutation[] = [
  {
    name: 'kafka-sink-keep-epoch',
    breaks: 'a writer goes on with its epoch after a transaction of which it does not know the end',
    file: writer,
    text: "this.#isSettled = result === 'done';",
    replacement: 'this.#isSettled = true;',
  },
  {
    name: 'kafka-sink-do-not-look',
    breaks: 'a writer takes what may have been committed for lost',
    file: writer,
    text: 'return isThere;',
    replacement: 'return false;',
  },
  {
    name: 'kafka-sink-trust-the-end',
    breaks: 'a writer takes what may have been lost for committed',
    file: writer,
    text: 'return isThere;',
    replacement: 'return true;',
  },
  {
    name: 'kafka-sink-last-comer-wins',
    breaks: 'a writer that opens late fences a newer one',
    file: writer,
    text: 'if (isNewer(entry, run)) throw this.#fenced();',
    replacement: '',
  },
  {
    name: 'kafka-sink-yield-to-anybody',
    breaks: 'a writer gives way to an older one that has opened late',
    file: writer,
    text: 'if (isOther && !isNewer(this.#parts.context.run, entry)) throw this.#fenced();',
    replacement: 'if (isOther || entry !== null) throw this.#fenced();',
  },
  {
    name: 'kafka-sink-look-before-fencing',
    breaks: 'a writer reads the ledger while its predecessor can still write',
    file: writer,
    text: `await producer.start();\n          ${look}`,
    replacement: `${look}\n          await producer.start();`,
  },
  {
    name: 'kafka-sink-entry-apart',
    breaks: 'the entry of the ledger is a transaction of its own',
    file: writer,
    text: 'const result = await this.#transact([...writes, entry], batch);',
    replacement:
      'await this.#transact(writes, batch - 1);\n' +
      '    const result = await this.#transact([entry], batch);',
  },
  {
    name: 'kafka-sink-end-again',
    breaks: 'an end of which nobody knows is asked for again, and may end the next transaction',
    file: producer,
    text: `${askEnd}\n      if (answer === null) return { done: 'unsure' };`,
    replacement:
      `${askEnd}\n` + '      if (answer === null) return { again: kafkaErrors.networkException };',
  },
  {
    name: 'kafka-sink-count-aborted',
    breaks: 'entries of the ledger count whose transaction was aborted',
    file: ledger,
    text: 'ends.get(record.producerId) === true',
    replacement: 'ends.get(record.producerId) !== undefined',
  },
  {
    name: 'kafka-sink-leave-the-former',
    breaks: 'writers of a history that another one follows are not fenced',
    file: sink,
    text: 'await this.#close(former, client, marks);',
    replacement: 'void former;',
  },
  {
    name: 'kafka-sink-mark-only',
    breaks: 'only those are fenced that open a history after another one has followed it',
    file: sink,
    text: 'await writer.closeHistory();',
    replacement: 'void writer;',
  },
  {
    name: 'kafka-sink-fence-the-ledger-only',
    breaks: 'partitions take what an older writer sends outside of transactions',
    file: writer,
    text: 'producer.fence([this.#entry({ ...says, from })], places)',
    replacement: 'producer.fence([this.#entry({ ...says, from })], [])',
  },
  {
    name: 'kafka-sink-do-not-scan',
    breaks: 'what was committed in one phase, and is not in the ledger yet, is taken for lost',
    file: writer,
    text: 'const batch = Math.max(entry.batch, ...scans.map((found) => found.batch));',
    replacement: 'const { batch } = entry;',
  },
  {
    name: 'kafka-sink-late-word',
    breaks: 'the ledger is told of an older micro-batch behind a transaction that may be there',
    file: writer,
    text: 'if (this.#isInDoubt || this.#mayWordArrive) return false;',
    replacement: 'if (this.#mayWordArrive) return false;',
  },
  {
    name: 'kafka-sink-append-with-the-last-epochs',
    breaks: 'a producer id is used up, and nobody has fenced what was sent by it',
    file: producer,
    text: 'return this.#identity.epoch < epochMaxOutside;',
    replacement: 'return true;',
  },
  {
    name: 'kafka-sink-one-leader',
    breaks: 'a partition that was not written is taken for written',
    file: producer,
    text: 'found.left.push(write);',
    replacement: '',
  },
  {
    name: 'kafka-sink-tell-what-was-before',
    breaks: 'the ledger is told of the micro-batch before once a transaction has ended',
    file: writer,
    text:
      'if (this.#isSettled) {\n        this.#through = batch;\n' +
      '        this.#told = batch;\n      }',
    replacement:
      'if (this.#isSettled) void Promise.resolve().then(async () => {\n' +
      '        await null;\n        await null;\n        this.#through = batch;\n' +
      '        this.#told = batch;\n      });',
  },
];

export const sourceMutations: readonly Mutation[] = [
  {
    name: 'kafka-source-read-aborted',
    breaks: 'records of aborted transactions are read',
    file: visible,
    text: 'if (!control) return !(transactional && this.#hidden.has(producerId));',
    replacement: 'if (!control) return true;',
  },
  {
    name: 'kafka-source-hide-for-ever',
    breaks: 'after an abort nothing of its producer is read any more',
    file: visible,
    text: 'if (isAbort(bytes, at, head)) this.#hidden.delete(producerId);',
    replacement: '',
  },
  {
    name: 'kafka-source-hide-the-rest',
    breaks: 'what is not in a transaction is hidden with an aborted one before it',
    file: visible,
    text: 'while ((this.#aborted[this.#next]?.firstOffset ?? Infinity) <= lastOffset) {',
    replacement: 'while (this.#next < this.#aborted.length && lastOffset >= 0) {',
  },
  {
    name: 'kafka-source-skip-one',
    breaks: 'behind an answer one record is left out',
    file: reader,
    text: 'next = Math.max(next, head.baseOffset + head.lastOffsetDelta + 1);',
    replacement: 'next = Math.max(next, head.baseOffset + head.lastOffsetDelta + 2);',
  },
  {
    name: 'kafka-source-replay-on',
    breaks: 'a replay gives what lies behind its range',
    file: 'src/connectors/kafka/kafka-replayer.ts',
    text: 'stream.take(Number.POSITIVE_INFINITY, to)',
    replacement: 'stream.take(Number.POSITIVE_INFINITY, Infinity)',
  },
  {
    name: 'kafka-source-lose-the-leader',
    breaks: 'a partition whose leader has moved is not asked for any more',
    file: 'src/connectors/kafka/fetch-loop.ts',
    text: 'else this.#options.onLost(subscriber, answer.error);',
    replacement: '',
  },
];

const writers = 'src/runtime/host/sink-writers.ts';
const readers = 'src/runtime/host/source-readers.ts';

/** Only the whole engine shows them. */
export const betweenMutations: readonly Mutation[] = [
  {
    name: 'kafka-engine-ignore-ledger',
    breaks: 'output that is visible already is written again',
    file: writers,
    text: 'through: writer.committedThrough }',
    replacement: 'through: -1 }',
  },
  {
    name: 'kafka-engine-all-at-once',
    breaks: 'a micro-batch is written while the one before is',
    file: writers,
    text: 'return (this.#commits.get(key) ?? Promise.resolve()).catch(() => {});',
    replacement: 'return Promise.resolve();',
  },
  {
    name: 'kafka-engine-read-from-the-start',
    breaks: 'a reader that is opened again begins where the topic does',
    file: readers,
    text: 'const at = from === null ? {} : { from: from.to };',
    replacement: 'const at = {};',
  },
  {
    name: 'kafka-engine-skip-a-restore',
    breaks: 'a source that goes on elsewhere leaves a record out',
    file: readers,
    text: '{ from: from.to };',
    replacement: '{ from: from.to + 1 };',
  },
  {
    name: 'kafka-engine-count-behind-seal',
    breaks: 'what a dead worker adds to the range log behind its seal counts for it',
    file: 'src/connectors/kafka/kafka-range-log.ts',
    text: 'if (own?.token !== this.#token || isSealed) throw logFenced(this.#name);',
    replacement: 'if (own?.token !== this.#token && isSealed) throw logFenced(this.#name);',
  },
  {
    name: 'kafka-engine-overlook-a-seal',
    breaks:
      'a dead worker that adds to the range log does not look whether a seal stands before it',
    file: 'src/connectors/kafka/log-scan.ts',
    text: 'if (this.#position !== offset) return false;',
    replacement: 'if (this.#position > offset) return false;',
  },
  {
    name: 'kafka-engine-leave-the-log-open',
    breaks: 'a driver reads the range log while the dead may add to it',
    file: 'src/runtime/host/driver-storage.ts',
    text: 'await Promise.all([this.#closesFormer, this.#seal(this.#namesOf(closed, order))]);',
    replacement: 'await this.#closesFormer;\n    this.#namesOf(closed, order);',
  },
  {
    name: 'kafka-engine-leave-former-logs',
    breaks: 'logs of those who wrote for a driver before stay open',
    file: 'src/runtime/host/driver-storage.ts',
    text: 'this.#closesFormer ??= former.then((names) => this.#seal(names));',
    replacement: '',
  },
];
