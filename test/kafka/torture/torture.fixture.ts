// One run of the torture: a steady load into a topic, a cluster of real processes that reads it and
// writes others, and faults meanwhile. Then all of it has to come to rest by itself, and Kafka's
// own consumer says what is there.

import { join } from 'node:path';
import { KafkaClient } from '../../../src/connectors/kafka/kafka-client.ts';
import { endOfLog, findOffsets } from '../../../src/connectors/kafka/find-offsets.ts';
import { socketPlatform } from '../../../src/connectors/kafka/sockets/platform.ts';
import type { KafkaWire } from '../../../src/ports/kafka-wire.ts';
import { sleep, temporaryFolder } from '../../cluster/processes.fixture.ts';
import { readByJava, readCommitted } from '../committed-reader.fixture.ts';
import { startKafka } from '../kafka-server.fixture.ts';
import type { KafkaServer } from '../kafka-server.fixture.ts';
import { TortureCluster } from './torture-cluster.fixture.ts';
import type { ClusterLog } from './torture-cluster.fixture.ts';
import type { TortureFault } from './torture-faults.fixture.ts';
import { Load } from './torture-load.fixture.ts';
import type { TortureTopics } from './torture-records.fixture.ts';
import { inputPartitions, truthOf, wrongWith } from './torture-records.fixture.ts';

export type TortureOptions = {
  readonly kafka: KafkaServer;
  /** Of topics and folders: nobody else has it on this cluster. */
  readonly name: string;
  readonly faults: readonly TortureFault[];
  readonly recordsPerSecond: number;
  readonly hosts: number;
  /** Where ranges are logged. */
  readonly rangeLog: 'folder' | 'kafka';
  readonly options: readonly string[];
};

export type TortureResult = {
  readonly records: number;
  /** Empty: all is right. */
  readonly wrong: readonly string[];
  /** What happened when, a line each. */
  readonly transcript: readonly string[];
  readonly logs: readonly ClusterLog[];
  /** From the end of the last fault until the last window was visible, ms. */
  readonly drainMs: number;
};

/** In full run, before the first fault. */
const warmMs = 500;
/** For all to come to rest once nothing befalls it any more. */
const restMs = 180_000;
const outputPartitions = 3;

/** Brokers for it: three, of which one may be missing, and which bear with a busy machine. */
export function startTorturable(): Promise<KafkaServer> {
  return startKafka({
    nodes: 3,
    config: {
      'min.insync.replicas': '2',
      'broker.session.timeout.ms': '3000',
      'controller.quorum.fetch.timeout.ms': '2000',
      'controller.quorum.election.timeout.ms': '600',
      'initial.broker.registration.timeout.ms': '240000',
    },
  });
}

export async function torture(options: TortureOptions): Promise<TortureResult> {
  const run = new Torture(options);
  try {
    return await run.run();
  } finally {
    run.end();
  }
}

class Torture {
  readonly #options: TortureOptions;
  readonly #topics: TortureTopics;
  readonly #wire: KafkaWire;
  readonly #transcript: string[] = [];
  readonly #beginMs = performance.now();
  readonly #cluster: TortureCluster;
  #load: Load | null = null;
  /** Brokers have their faults one after the other: more than one may be too many. */
  #brokers: Promise<void> = Promise.resolve();

  constructor(options: TortureOptions) {
    const { kafka, name, faults, hosts, rangeLog } = options;
    this.#options = options;
    this.#topics = {
      input: `${name}-input`,
      copies: `${name}-copies`,
      windows: `${name}-windows`,
      totals: `${name}-totals`,
    };
    this.#wire = socketPlatform.open({
      brokers: kafka.bootstrap.split(','),
      clientId: 'torture',
      tls: false,
      sasl: null,
      connectTimeoutMs: 2_000,
      requestTimeoutMs: 10_000,
    });
    const log = rangeLog === 'kafka' ? ['--range-log', `kafka://${kafka.bootstrap}/${name}`] : [];
    this.#cluster = new TortureCluster({
      job: { brokers: kafka.bootstrap, topics: this.#topics },
      store: join(temporaryFolder(), 'store'),
      hosts,
      options: [...options.options, ...log],
      limitMs: (faults.at(-1)?.atMs ?? 0) * 2 + 4 * restMs,
      tell: (what) => this.#tell(what),
    });
  }

  async run(): Promise<TortureResult> {
    const wrong: string[] = [];
    let drainMs = 0;
    try {
      await this.#start();
      await this.#suffer();
      drainMs = await this.#rest();
      wrong.push(...(await this.#judge()));
    } catch (error) {
      wrong.push(String(error));
    }
    const records = this.#load?.sent.reduce((sum, sent) => sum + sent.length, 0) ?? 0;
    this.#cluster.end();
    const { logs, unexplained } = this.#cluster;
    wrong.unshift(...unexplained);
    return { records, wrong, transcript: this.#transcript, logs, drainMs };
  }

  end(): void {
    this.#load?.end();
    this.#cluster.end();
    void this.#wire.close();
  }

  async #start(): Promise<void> {
    const { kafka, recordsPerSecond } = this.#options;
    const { input, copies, windows, totals } = this.#topics;
    const made = { replication: -1, configs: {} };
    const compacted = { replication: -1, configs: { 'cleanup.policy': 'compact' } };
    const outputs = [copies, windows, totals];
    await this.#wire.createTopics(null, [
      { ...made, topic: input, partitions: inputPartitions },
      ...outputs.map((topic) => ({ ...made, topic, partitions: outputPartitions })),
      // Fewer than usual: a broker that comes back looks through the files of each.
      ...outputs.map((topic) => {
        return { ...compacted, topic: `${topic}.mizzle-ledger`, partitions: outputPartitions };
      }),
    ]);
    await this.#cluster.start();
    this.#load = new Load({ bootstrap: kafka.bootstrap, topic: input, recordsPerSecond });
    await this.#until(async () => (await this.#windows()) > 0, restMs, 'the first window');
    await sleep(warmMs);
  }

  async #suffer(): Promise<void> {
    const startMs = performance.now();
    const healing: Promise<void>[] = [];
    for (const fault of this.#options.faults) {
      await sleep(Math.max(0, startMs + fault.atMs - performance.now()));
      healing.push(this.#befall(fault));
    }
    await Promise.all(healing);
    await this.#brokers;
    this.#tell('the last fault is over');
  }

  async #befall({ kind, victim, which, forMs }: TortureFault): Promise<void> {
    const { hosts, drivers } = this.#cluster;
    switch (victim) {
      case 'broker':
        this.#brokers = this.#brokers.then(() => this.#befallBroker(kind, which, forMs));
        return this.#brokers;
      case 'all':
        for (const place of [...drivers, ...hosts]) this.#cluster.kill(place, forMs);
        return;
      case 'driver':
      case 'standby':
      case 'host': {
        const host = hosts[Math.floor(which * hosts.length)]!;
        const place = victim === 'host' ? host : drivers[victim === 'driver' ? 0 : 1]!;
        if (kind === 'kill') return this.#cluster.kill(place, forMs);
        return this.#cluster.freeze(place, forMs);
      }
    }
  }

  async #befallBroker(kind: 'kill' | 'freeze', which: number, forMs: number): Promise<void> {
    const { kafka } = this.#options;
    const { id } = kafka.nodes[Math.floor(which * kafka.nodes.length)]!;
    this.#tell(`broker ${id}: ${kind}, for ${forMs} ms`);
    if (kind === 'kill') {
      await kafka.kill(id);
      await sleep(forMs);
      await kafka.restart(id);
    } else {
      await kafka.freeze(id);
      await sleep(forMs);
      kafka.unfreeze(id);
    }
    this.#tell(`broker ${id} is back`);
  }

  /** The load ends, all of it becomes visible, and the job ends well. */
  async #rest(): Promise<number> {
    const startMs = performance.now();
    await this.#load!.finish();
    this.#tell('the load has ended');
    const { windows } = truthOf(this.#load!.sent.flat());
    // The last one of each partition closes with the job.
    const due = windows.size - inputPartitions;
    await this.#until(async () => (await this.#windows()) >= due, restMs, `${due} windows`);
    const drainMs = performance.now() - startMs;
    this.#tell('all windows are visible');
    await this.#cluster.drain(restMs);
    this.#tell('the job has ended');
    return drainMs;
  }

  async #judge(): Promise<readonly string[]> {
    const { input, copies, windows, totals } = this.#topics;
    const all = [input, copies, windows, totals];
    await this.#until(() => this.#isDecided(all), restMs, 'every transaction to be decided');
    const records = await readByJava(this.#options.kafka.bootstrap, ...all);
    if (records === null) throw new Error('this Java has no compiler');
    const kept = records.filter(({ topic }) => topic === input);
    const lost = this.#load!.sent.flatMap((sent, partition) => {
      const found = kept.filter((record) => record.partition === partition);
      const values = found.map(({ value }) => value).join('\n');
      const wanted = sent.map((record) => JSON.stringify(record)).join('\n');
      return values === wanted ? [] : [`Kafka has not kept partition ${partition} as it was given`];
    });
    return [...lost, ...wrongWith(records, this.#topics)];
  }

  /** Windows that can be seen. */
  async #windows(): Promise<number> {
    const topic = this.#topics.windows;
    const places = Array.from({ length: outputPartitions }, (_, partition) => partition);
    const found = await Promise.all(
      places.map((partition) => readCommitted(this.#wire, { topic, partition })),
    );
    return found.flat().length;
  }

  /** No transaction is open that would hide what is behind it. */
  async #isDecided(topics: readonly string[]): Promise<boolean> {
    const client = new KafkaClient(this.#wire, { clock: socketPlatform, patienceMs: restMs });
    for (const topic of topics) {
      const { partitions } = await client.topic(topic);
      const places = partitions.map(({ partition }) => ({ topic, partition, timestamp: endOfLog }));
      const stable = await findOffsets(client, 'read-committed', places);
      const ends = await findOffsets(client, 'read-uncommitted', places);
      if (String(stable) !== String(ends)) return false;
    }
    return true;
  }

  async #until(isSo: () => Promise<boolean>, withinMs: number, what: string): Promise<void> {
    const deadlineMs = performance.now() + withinMs;
    let last = '';
    for (;;) {
      const done = await isSo().catch((error: unknown) => {
        last = `: ${String(error)}`;
        return false;
      });
      if (done) return;
      const [unexplained] = this.#cluster.unexplained;
      if (unexplained !== undefined) throw new Error('a process has ended by itself');
      if (performance.now() > deadlineMs) throw new Error(`waited too long for ${what}${last}`);
      await sleep(200);
    }
  }

  #tell(what: string): void {
    const seconds = (performance.now() - this.#beginMs) / 1000;
    this.#transcript.push(`${seconds.toFixed(3).padStart(8)} s  ${what}`);
  }
}
