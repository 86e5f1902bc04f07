// Transactional ids of a simulated cluster and the states of their transactions. What it decides
// is durable after a delay; the markers that end a transaction reach each partition at a moment of
// its own. When the coordinator moves, the next one reads what was durable and sends markers again.
// [KIP-98; KIP-360: bumps that a client asks for; KIP-890: an epoch for each transaction]

import type { Random } from '../../base/random.ts';
import { kafkaErrors } from '../../connectors/kafka/error-codes.ts';
import type {
  EndTransactionAnswer,
  EndTransactionAsked,
  InitProducerAnswer,
  InitProducerAsked,
  TopicPartition,
} from '../../ports/kafka-wire.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import type { Marker } from './batch-bytes.ts';

type State =
  | 'empty'
  | 'ongoing'
  | 'prepare-commit'
  | 'prepare-abort'
  | 'complete-commit'
  | 'complete-abort';

type Transactional = {
  readonly id: string;
  producerId: number;
  epoch: number;
  /** Who asked with it, and did not hear the answer, may ask again. */
  lastEpoch: number;
  lastProducerId: number;
  /** Takes the producer id's place once the transaction has ended; -1: it stays. */
  nextProducerId: number;
  timeoutMs: number;
  state: State;
  /** The transaction that is being ended has raised the epoch. */
  bumps: boolean;
  partitions: Map<string, TopicPartition>;
  /** Counts transactions, so that a timer knows its own. */
  serial: number;
  /** A change of state is on its way to be durable. */
  pending: boolean;
  /** Who coordinates; rises with each move. */
  coordinatorEpoch: number;
  /** Partitions that miss the marker. */
  unmarked: Set<string>;
};

export type MarkerDelivery = {
  readonly to: TopicPartition;
  readonly marker: Marker;
  /** At most once, when the partition has it, or will never need it. */
  readonly done: () => void;
};

export type CoordinatorModel = {
  readonly transactionVersion: number;
  /** From here on a producer id is used up. Kafka's is 32,766. */
  readonly epochMax: number;
  /** What a transactional id begins with. Kafka's is 0. */
  readonly epochMin: number;
  /** A change of state is durable within this time, ms. */
  readonly decideMsMax: number;
  /** By whatever way it takes, and trying again until it is there. */
  readonly deliver: (delivery: MarkerDelivery) => void;
};

export class TransactionCoordinator {
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #model: CoordinatorModel;
  readonly #ids = new Map<string, Transactional>();
  #producers = 1000;

  constructor(clock: VirtualClock, random: Random, model: CoordinatorModel) {
    this.#clock = clock;
    this.#random = random;
    this.#model = model;
  }

  get isVersion2(): boolean {
    return this.#model.transactionVersion >= 2;
  }

  /** For judges: whether anything is under way. */
  get isQuiet(): boolean {
    return [...this.#ids.values()].every(({ state, pending }) => {
      return !pending && (state === 'empty' || state.startsWith('complete'));
    });
  }

  /** For judges: whether it is decided that the transaction of a producer is committed. */
  isCommitting(producerId: number): boolean {
    return [...this.#ids.values()].some((txn) => {
      return txn.producerId === producerId && txn.state === 'prepare-commit';
    });
  }

  initProducerId(asked: InitProducerAsked, reply: (answer: InitProducerAnswer) => void): void {
    const { transactionalId, timeoutMs } = asked;
    const refuse = (error: number): void => reply({ error, producerId: -1, epoch: -1 });
    if (transactionalId === null) {
      reply({ error: 0, producerId: this.#newProducerId(), epoch: 0 });
      return;
    }
    const txn = this.#ids.get(transactionalId) ?? this.#create(transactionalId);
    if (txn.pending) return refuse(kafkaErrors.concurrentTransactions);
    const isExpecting = asked.producerId >= 0;
    const isKnown =
      txn.epoch < 0 ||
      asked.producerId === txn.producerId ||
      (asked.producerId === txn.lastProducerId && asked.epoch >= this.#model.epochMax);
    if (isExpecting && !isKnown) return refuse(kafkaErrors.producerFenced);
    if (isPreparing(txn)) return refuse(kafkaErrors.concurrentTransactions);
    if (txn.state === 'ongoing') {
      // The epoch of the fence is nobody's: who asks again gets the next one.
      this.#fence(txn, () => refuse(kafkaErrors.concurrentTransactions));
      return;
    }
    const next = this.#nextIdentity(txn, isExpecting ? asked.epoch : null);
    if (next === null) return refuse(kafkaErrors.producerFenced);
    this.#decide(txn, refuse, () => {
      Object.assign(txn, { ...next, timeoutMs, state: 'empty', partitions: new Map() });
      return () => reply({ error: 0, producerId: txn.producerId, epoch: txn.epoch });
    });
  }

  addPartitions(
    asked: {
      readonly transactionalId: string;
      readonly producerId: number;
      readonly epoch: number;
      readonly partitions: readonly TopicPartition[];
    },
    reply: (error: number) => void,
  ): void {
    const txn = this.#ids.get(asked.transactionalId);
    const error = this.#errorOf(txn, asked);
    if (txn === undefined || error !== kafkaErrors.none) return reply(error);
    const isThere = asked.partitions.every((at) => txn.partitions.has(placeOf(at)));
    if (txn.state === 'ongoing' && isThere) return reply(kafkaErrors.none);
    this.#decide(txn, reply, () => {
      if (txn.state !== 'ongoing') this.#begin(txn);
      for (const at of asked.partitions) txn.partitions.set(placeOf(at), at);
      return () => reply(kafkaErrors.none);
    });
  }

  /** Whether a partition is in the transaction that is under way. */
  verify(
    asked: {
      readonly transactionalId: string;
      readonly producerId: number;
      readonly epoch: number;
    } & TopicPartition,
  ): number {
    const txn = this.#ids.get(asked.transactionalId);
    const error = this.#errorOf(txn, asked);
    if (txn === undefined || error !== kafkaErrors.none) return error;
    const isIn = txn.state === 'ongoing' && txn.partitions.has(placeOf(asked));
    return isIn ? kafkaErrors.none : kafkaErrors.transactionAbortable;
  }

  endTransaction(asked: EndTransactionAsked, reply: (answer: EndTransactionAnswer) => void): void {
    const { producerId, epoch, committed } = asked;
    const answer = (error: number): void => reply({ error, producerId, epoch });
    const txn = this.#ids.get(asked.transactionalId);
    if (txn === undefined) return answer(kafkaErrors.invalidProducerIdMapping);
    const ended = committed ? 'complete-commit' : 'complete-abort';
    const preparing = committed ? 'prepare-commit' : 'prepare-abort';
    const isBumped = asked.bumps && txn.epoch === epoch + 1 && txn.producerId === producerId;
    const isRotated =
      asked.bumps &&
      txn.lastProducerId === producerId &&
      epoch === this.#model.epochMax &&
      txn.epoch === 0;
    const isRetry = isBumped || isRotated;
    if (txn.producerId !== producerId && !isRotated) {
      return answer(kafkaErrors.invalidProducerIdMapping);
    }
    const mayRetry = txn.state.startsWith('complete') || isPreparing(txn);
    const mayBeNext = !(asked.bumps && isPreparing(txn));
    if (!(isRetry && mayRetry) && !(epoch === txn.epoch && mayBeNext)) {
      return answer(kafkaErrors.producerFenced);
    }
    if (txn.pending) return answer(kafkaErrors.concurrentTransactions);
    const next = (): void => reply({ error: 0, producerId: txn.producerId, epoch: txn.epoch });
    switch (txn.state) {
      case 'ongoing':
        return this.#end(txn, { committed, bumps: asked.bumps, refuse: answer, reply });
      case 'prepare-commit':
      case 'prepare-abort':
        if (txn.state === preparing) return answer(kafkaErrors.concurrentTransactions);
        return answer(kafkaErrors.invalidTxnState);
      case 'complete-commit':
      case 'complete-abort':
        if (!asked.bumps) {
          // The weakness of the old protocol: of which transaction, nobody can tell.
          return answer(txn.state === ended ? kafkaErrors.none : kafkaErrors.invalidTxnState);
        }
        if (isRetry) {
          return txn.state === ended ? next() : answer(kafkaErrors.invalidTxnState);
        }
        break;
      case 'empty':
        break;
    }
    if (!asked.bumps || committed) return answer(kafkaErrors.invalidTxnState);
    // An end of nothing: only the epoch rises.
    this.#end(txn, { committed: false, bumps: true, refuse: answer, reply });
  }

  /** Another broker coordinates this id from now on: it reads what is durable. */
  moved(transactionalId: string): void {
    const txn = this.#ids.get(transactionalId);
    if (txn === undefined) return;
    txn.coordinatorEpoch++;
    // What was being decided is lost or not, as `#decide` draws.
    if (!isPreparing(txn)) return;
    for (const place of txn.partitions.keys()) txn.unmarked.add(place);
    this.#sendMarkers(txn);
  }

  #create(id: string): Transactional {
    const txn: Transactional = {
      id,
      producerId: this.#newProducerId(),
      epoch: this.#model.epochMin - 1,
      lastEpoch: -1,
      lastProducerId: -1,
      nextProducerId: -1,
      timeoutMs: 0,
      state: 'empty',
      bumps: false,
      partitions: new Map(),
      serial: 0,
      pending: false,
      coordinatorEpoch: 0,
      unmarked: new Set(),
    };
    this.#ids.set(id, txn);
    return txn;
  }

  #newProducerId(): number {
    return this.#producers++;
  }

  #errorOf(
    txn: Transactional | undefined,
    asked: { readonly producerId: number; readonly epoch: number },
  ): number {
    if (txn === undefined || txn.producerId !== asked.producerId) {
      return kafkaErrors.invalidProducerIdMapping;
    }
    if (txn.epoch !== asked.epoch) return kafkaErrors.producerFenced;
    if (txn.pending || isPreparing(txn)) return kafkaErrors.concurrentTransactions;
    return kafkaErrors.none;
  }

  /** Null: who asks is fenced. */
  #nextIdentity(
    txn: Transactional,
    expected: number | null,
  ): Pick<Transactional, 'producerId' | 'epoch' | 'lastEpoch' | 'lastProducerId'> | null {
    const { producerId, epoch, lastEpoch, lastProducerId } = txn;
    const isExhausted = epoch >= this.#model.epochMax;
    if (isExhausted && (expected === null || expected === epoch)) {
      const lastExpected = expected === null ? -1 : epoch;
      const lastProducer = { lastEpoch: lastExpected, lastProducerId: producerId };
      return { producerId: this.#newProducerId(), epoch: 0, ...lastProducer };
    }
    if (expected === null) return { producerId, epoch: epoch + 1, lastEpoch: -1, lastProducerId };
    if (epoch === -1 || expected === epoch) {
      return { producerId, epoch: epoch + 1, lastEpoch: epoch, lastProducerId };
    }
    return expected === lastEpoch ? { producerId, epoch, lastEpoch, lastProducerId } : null;
  }

  #begin(txn: Transactional): void {
    txn.state = 'ongoing';
    txn.partitions = new Map();
    const serial = ++txn.serial;
    this.#clock.after(txn.timeoutMs, () => this.#timeOut(txn, serial));
  }

  #timeOut(txn: Transactional, serial: number): void {
    if (txn.serial !== serial || txn.state !== 'ongoing') return;
    if (txn.pending) {
      this.#clock.after(1, () => this.#timeOut(txn, serial));
      return;
    }
    // Who moves meanwhile looks at the timeouts again.
    this.#fence(txn, () => this.#clock.after(1, () => this.#timeOut(txn, serial)));
  }

  /** Aborts with an epoch that is nobody's. */
  #fence(txn: Transactional, reply: () => void): void {
    this.#decide(txn, reply, () => {
      txn.epoch++;
      txn.lastEpoch = -1;
      this.#prepare(txn, { committed: false, bumps: this.isVersion2 });
      return reply;
    });
  }

  #end(
    txn: Transactional,
    how: {
      readonly committed: boolean;
      readonly bumps: boolean;
      readonly refuse: (error: number) => void;
      readonly reply: (answer: EndTransactionAnswer) => void;
    },
  ): void {
    const { committed, bumps, refuse, reply } = how;
    this.#decide(txn, refuse, () => {
      if (txn.state !== 'ongoing') txn.partitions = new Map();
      const next = this.#prepare(txn, { committed, bumps });
      return () => reply({ error: 0, ...next });
    });
  }

  #prepare(
    txn: Transactional,
    { committed, bumps }: { readonly committed: boolean; readonly bumps: boolean },
  ): { readonly producerId: number; readonly epoch: number } {
    txn.state = committed ? 'prepare-commit' : 'prepare-abort';
    txn.bumps = bumps;
    if (bumps) {
      const isExhausted = txn.epoch >= this.#model.epochMax;
      txn.lastEpoch = txn.epoch++;
      if (isExhausted) txn.nextProducerId = this.#newProducerId();
    }
    txn.unmarked = new Set(txn.partitions.keys());
    const { nextProducerId, producerId, epoch } = txn;
    this.#sendMarkers(txn);
    return nextProducerId < 0 ? { producerId, epoch } : { producerId: nextProducerId, epoch: 0 };
  }

  #sendMarkers(txn: Transactional): void {
    const { coordinatorEpoch, serial, producerId, epoch, bumps } = txn;
    const committed = txn.state === 'prepare-commit';
    const marker = { producerId, epoch, coordinatorEpoch, committed, bumps };
    for (const [place, to] of txn.partitions) {
      const done = (): void => {
        // Another coordinator hears nothing of it.
        if (txn.coordinatorEpoch !== coordinatorEpoch || txn.serial !== serial) return;
        if (!isPreparing(txn)) return;
        txn.unmarked.delete(place);
        if (txn.unmarked.size === 0) this.#complete(txn);
      };
      this.#model.deliver({ to, marker, done });
    }
    if (txn.unmarked.size === 0) this.#complete(txn);
  }

  #complete(txn: Transactional): void {
    const ended = txn.state === 'prepare-commit' ? 'complete-commit' : 'complete-abort';
    const { coordinatorEpoch, serial } = txn;
    this.#clock.after(this.#random.float() * this.#model.decideMsMax, () => {
      if (txn.coordinatorEpoch !== coordinatorEpoch || txn.serial !== serial) return;
      if (!isPreparing(txn)) return;
      txn.state = ended;
      txn.partitions = new Map();
      if (txn.nextProducerId < 0) return;
      Object.assign(txn, { lastProducerId: txn.producerId, producerId: txn.nextProducerId });
      Object.assign(txn, { epoch: 0, nextProducerId: -1 });
    });
  }

  /** Makes a change durable, and then answers, unless the coordinator has moved in between. */
  #decide(txn: Transactional, refuse: (error: number) => void, change: () => () => void): void {
    txn.pending = true;
    const { coordinatorEpoch } = txn;
    this.#clock.after(this.#random.float() * this.#model.decideMsMax, () => {
      txn.pending = false;
      const isMoved = txn.coordinatorEpoch !== coordinatorEpoch;
      if (isMoved && this.#random.chance(0.5)) return refuse(kafkaErrors.notCoordinator);
      const answer = change();
      if (isMoved) refuse(kafkaErrors.notCoordinator);
      else answer();
    });
  }
}

function isPreparing({ state }: Transactional): boolean {
  return state === 'prepare-commit' || state === 'prepare-abort';
}

function placeOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
