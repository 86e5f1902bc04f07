// A Kafka cluster in virtual time, behind the connector's port: clients, the network between them
// and the brokers, and faults, all from a seed. Requests of one connection keep their order; those
// of the next connection overtake what the last one has left behind. A client that was given up
// for dead may still have requests on their way.

import type { Random } from '../../base/random.ts';
import type {
  KafkaCodecs,
  KafkaConnection,
  KafkaPlatform,
  KafkaWire,
  NewTopic,
} from '../../ports/kafka-wire.ts';
import { WireFailure } from '../../ports/kafka-wire.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import { crc32c } from './batch-bytes.ts';
import type { KafkaFault } from './kafka-faults.ts';
import type { KafkaModel } from './simulated-brokers.ts';
import { SimulatedBrokers } from './simulated-brokers.ts';
import { SimulatedWire } from './simulated-wire.ts';

export type SimulatedKafkaOptions = KafkaModel & {
  /** Requests and replies take up to this time, ms. */
  readonly latencyMsMax: number;
  /** A client gives up a request that is lost after this time, ms, or when its own is over. */
  readonly timeoutMs: number;
};

export class SimulatedKafka {
  readonly brokers: SimulatedBrokers;
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly options: SimulatedKafkaOptions;
  /** Counts what processes hear or begin: only after that is there anything for them to do. */
  heard = 0;
  readonly #clients = new Set<SimulatedClient>();
  #tokens = 0;

  constructor(clock: VirtualClock, random: Random, options: SimulatedKafkaOptions) {
    this.clock = clock;
    this.random = random.fork();
    this.options = options;
    this.brokers = new SimulatedBrokers(clock, random.fork(), options);
    for (const fault of options.faults.events) {
      clock.after(fault.atMs, () => this.#strike(fault));
    }
  }

  /** A process that uses the cluster. */
  client(name: string): SimulatedClient {
    const client = new SimulatedClient(this, name);
    this.#clients.add(client);
    return client;
  }

  /** For those who watch, from outside the cluster. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.after(ms, () => {
        this.heard++;
        resolve();
      });
    });
  }

  /** Before anything runs. */
  createTopic(topic: string, partitions: number, configs: NewTopic['configs'] = {}): void {
    this.brokers.createTopic({ topic, partitions, replication: -1, configs });
  }

  newToken(): string {
    return `token-${this.#tokens++}-${this.random.uint32().toString(36)}`;
  }

  #strike(fault: KafkaFault): void {
    const { brokers } = this;
    switch (fault.kind) {
      case 'leader-change': {
        const led = brokers.partitions().filter(({ leader }) => leader >= 0);
        // Where nothing is written, nothing can go wrong.
        const used = led.filter(({ log }) => log.endOffset > 0);
        const victims = used.length > 0 ? used : led;
        const victim = victims[Math.floor(fault.victim * victims.length)];
        if (victim !== undefined) brokers.changeLeader(victim, fault.forMs);
        return;
      }
      case 'coordinator-move':
        return brokers.moveCoordinator(brokers.coordinatorPart(fault.victim), fault.forMs);
      case 'broker-down':
        return brokers.takeDown(Math.floor(fault.victim * brokers.brokers.length), fault.forMs);
      case 'stuck-connection':
        for (const client of this.#clients) {
          client.stick(Math.floor(fault.victim * brokers.brokers.length), fault.forMs);
        }
    }
  }
}

/** One process: it may stand still, or be gone; what it has sent is on its way all the same. */
export class SimulatedClient {
  readonly name: string;
  readonly kafka: SimulatedKafka;
  readonly platform: KafkaPlatform;
  #isGone = false;
  #pausedUntilMs = 0;
  readonly #stuckUntilMs = new Map<number, number>();

  constructor(kafka: SimulatedKafka, name: string) {
    this.kafka = kafka;
    this.name = name;
    const { clock } = kafka;
    this.platform = {
      open: (connection: KafkaConnection): KafkaWire => {
        return new SimulatedWire(this, connection.requestTimeoutMs);
      },
      nowMs: () => Math.floor(clock.nowMs),
      sleep: (ms) => new Promise((resolve) => this.later(ms, resolve)),
      newToken: () => kafka.newToken(),
      environment: () => undefined,
      readFile: noFile,
      codecs: simulatedCodecs,
    };
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  crash(): void {
    this.#isGone = true;
  }

  pause(forMs: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.kafka.clock.nowMs + forMs);
  }

  /** What is sent to that broker for a time arrives at its end. */
  stick(broker: number, forMs: number): void {
    if (this.kafka.random.chance(0.5)) return;
    this.#stuckUntilMs.set(broker, this.kafka.clock.nowMs + forMs);
  }

  stuckUntilMs(broker: number): number {
    return this.#stuckUntilMs.get(broker) ?? 0;
  }

  /** The connection is given up: the next one is not stuck. */
  unstick(broker: number): void {
    this.#stuckUntilMs.delete(broker);
  }

  /** Happens to the process, if it is there, and once it runs. */
  later(ms: number, action: () => void): void {
    const { clock } = this.kafka;
    clock.after(Math.max(0, ms), () => {
      if (this.#isGone) return;
      if (clock.nowMs < this.#pausedUntilMs) {
        this.later(this.#pausedUntilMs - clock.nowMs, action);
        return;
      }
      this.kafka.heard++;
      action();
    });
  }

  /** One request. `execute` is what the broker does when it arrives. */
  request<Answer>(
    { broker, timeoutMs }: { readonly broker: number; readonly timeoutMs: number },
    connection: { arrivalMs: number },
    execute: (reply: (answer: Answer) => void) => void,
  ): Promise<Answer> {
    const { clock, random, options, brokers } = this.kafka;
    const { faults, latencyMsMax } = options;
    const latencyMs = (): number => random.float() * latencyMsMax;
    const isFaulty = brokers.isFaulty;
    const hits = (share: number): boolean => isFaulty && random.chance(share);
    return new Promise((resolve, reject) => {
      if (this.#isGone) return;
      let isSettled = false;
      const settle = (ms: number, action: () => void): void => {
        this.later(ms, () => {
          if (isSettled) return;
          isSettled = true;
          action();
        });
      };
      const fail = (ms: number, unclear: boolean): void => {
        settle(ms, () => {
          if (unclear) this.unstick(broker);
          const what = unclear ? 'no answer' : 'no connection';
          reject(new WireFailure(`${what} of broker ${broker}`, { unclear }));
        });
      };
      const target = brokers.brokers[broker];
      if (target === undefined || !target.isUp || hits(faults.refused)) {
        fail(latencyMs(), false);
        return;
      }
      const giveUpMs = Math.min(timeoutMs, options.timeoutMs);
      // A connection that breaks is noticed sooner than silence.
      const brokenMs = random.chance(0.5) ? latencyMs() * 2 : random.float() * giveUpMs;
      fail(Math.max(timeoutMs, giveUpMs), true);
      if (hits(faults.lostRequests)) {
        connection.arrivalMs = 0;
        fail(brokenMs, true);
        return;
      }
      const isLate = hits(faults.lateRequests);
      const isReplyLost = isLate || hits(faults.lostReplies);
      const stuckMs = Math.max(0, this.stuckUntilMs(broker) - clock.nowMs);
      let arrivalMs = clock.nowMs + latencyMs() + stuckMs;
      if (isLate) arrivalMs += random.float() * faults.lateMsMax;
      else connection.arrivalMs = arrivalMs = Math.max(arrivalMs, connection.arrivalMs + 1e-6);
      if (isReplyLost) {
        connection.arrivalMs = 0;
        fail(brokenMs, true);
      }
      if (stuckMs > giveUpMs) connection.arrivalMs = 0;
      clock.at(arrivalMs, () => {
        if (!target.isUp) {
          fail(latencyMs(), true);
          return;
        }
        const { generation } = target;
        execute((answer) => {
          if (isReplyLost) return;
          if (target.generation !== generation) fail(latencyMs(), true);
          else settle(latencyMs(), () => resolve(answer));
        });
      });
    });
  }
}

function noFile(path: string): never {
  throw new Error(`there is no file "${path}" here`);
}

/** What is compressed only looks so. */
const simulatedCodecs: KafkaCodecs = {
  crc32c,
  compress: (by, bytes) => (by === 'none' ? bytes : Uint8Array.from(bytes, (byte) => byte ^ 0x5a)),
  decompress: (by, bytes) => {
    return by === 'none' ? bytes : Uint8Array.from(bytes, (byte) => byte ^ 0x5a);
  },
};
