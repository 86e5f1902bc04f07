// Real Apache Kafka brokers for a test file: the jars come from Maven once and are kept, each node
// is a JVM of its own with a folder of its own, and none outlives the test process, however that
// ends. A node is broker and controller at once, so that one is a whole cluster.

import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Certificate } from './certificates.fixture.ts';

export type KafkaNode = { readonly id: number; readonly port: number; readonly pid: number };

export type KafkaServer = {
  /** `host:port` of every node, with commas between. */
  readonly bootstrap: string;
  /** The listeners that ask for a user of `users`. */
  readonly loginBootstrap: string;
  /** Where `tls` was given: TLS alone, TLS that asks for a certificate, and TLS with a login. */
  readonly tlsBootstrap: string;
  readonly mutualBootstrap: string;
  readonly tlsLoginBootstrap: string;
  /** The pid changes with a restart: read it anew. */
  readonly nodes: readonly KafkaNode[];
  /** Without a word, as a power failure would. Its folder and its port stay its own. */
  kill(id: number): Promise<void>;
  /** Kills it if need be; back when it serves again. */
  restart(id: number): Promise<void>;
  /** The process stands still and its connections stay open, until it is continued. */
  freeze(id: number): Promise<void>;
  unfreeze(id: number): void;
  /** What a node has logged: warnings and errors. */
  log(id: number): string;
  /** Ends all nodes and removes their folders. */
  stop(): Promise<void>;
};

export type KafkaServerOptions = {
  readonly nodes?: 1 | 3;
  /** Goes to every node, over the fixture's own. */
  readonly config?: Readonly<Record<string, string>>;
  /** Goes to every node's JVM, behind the fixture's own flags, which make it small and quick. */
  readonly jvm?: readonly string[];
  /** Feature level of the cluster from its birth. Default: the newest, 2. */
  readonly transactionVersion?: 0 | 1 | 2;
  /** Passwords of those who may log in by SASL PLAIN. Default: nobody. */
  readonly users?: Readonly<Record<string, string>>;
  /** The brokers' certificate, and who signs those of clients. Default: they do not speak TLS. */
  readonly tls?: Certificate & { readonly authority: string };
};

const version = '4.1.2';
const clusterId = 'bWl6emxlLWthZmthLXRlc3';
const startTimeoutMs = 240_000;
/** Of the broker, of the controller, of logins, and three of TLS: see `prepareNode`. */
const portsPerNode = 6;
const javaFlags = [
  '-Xmx320m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-XX:-UsePerfData',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  '-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info',
];

/**
 * Why no broker can run here, for a test to skip by; null: it can. Where the environment has
 * `MIZZLE_REQUIRE_KAFKA=1`, as on CI, it throws instead.
 */
export function kafkaMissing(): string | null {
  const why = missingPart();
  if (why === null) return null;
  const message = `no Kafka here, tests against a real broker do not run: ${why}`;
  if (process.env['MIZZLE_REQUIRE_KAFKA'] === '1') throw new Error(message);
  process.stderr.write(`${message}\n`);
  return message;
}

/** Back when every node serves. */
export async function startKafka(options: KafkaServerOptions = {}): Promise<KafkaServer> {
  const home = await installed();
  const formatted = await formattedFolder(home, options.transactionVersion ?? 2);
  const flags = [...(await archiveFlags(home, formatted)), ...(options.jvm ?? [])];
  const count = options.nodes ?? 1;
  const ports = await freePorts(count * portsPerNode);
  const folder = mkdtempSync(join(tmpdir(), 'mizzle-kafka-'));
  const nodes = Array.from({ length: count }, (_, index) => {
    const files = prepareNode({ index, ports, formatted, folder, options });
    return new Node(home, { id: index + 1, port: ports[index]!, flags, ...files });
  });
  const find = (id: number): Node => {
    const node = nodes.find((other) => other.id === id);
    if (node === undefined) throw new Error(`there is no node ${id}`);
    return node;
  };
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.kill()));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await Promise.all(nodes.map((node) => node.start()));
  } catch (error) {
    await stop();
    throw error;
  }
  const bootstrapOf = (kind: number): string =>
    nodes.map((_, index) => `127.0.0.1:${ports[count * kind + index]}`).join(',');
  return {
    bootstrap: bootstrapOf(0),
    loginBootstrap: bootstrapOf(2),
    tlsBootstrap: bootstrapOf(3),
    mutualBootstrap: bootstrapOf(4),
    tlsLoginBootstrap: bootstrapOf(5),
    nodes,
    kill: (id) => find(id).kill(),
    restart: async (id) => {
      await find(id).kill();
      await find(id).start();
    },
    freeze: (id) => freeze(find(id).pid),
    unfreeze: (id) => void process.kill(find(id).pid, 'SIGCONT'),
    log: (id) => find(id).log(),
    stop,
  };
}

/** Back when it stands still, which is a moment later on a busy machine. */
async function freeze(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  const state = (): string =>
    spawnSync('ps', ['-o', 'state=', '-p', String(pid)], { encoding: 'utf8' }).stdout;
  while (!state().startsWith('T')) await sleep(5);
}

type NodeFiles = { readonly folder: string; readonly properties: string; readonly logFile: string };

type NodeOptions = NodeFiles & {
  readonly id: number;
  readonly port: number;
  readonly flags: readonly string[];
};

class Node implements KafkaNode {
  readonly id: number;
  readonly port: number;
  readonly #home: string;
  readonly #files: NodeFiles;
  readonly #flags: readonly string[];
  #java: ChildProcess | null = null;
  #guard: ChildProcess | null = null;

  constructor(home: string, node: NodeOptions) {
    this.#home = home;
    this.id = node.id;
    this.port = node.port;
    this.#files = node;
    this.#flags = node.flags;
  }

  get pid(): number {
    return this.#java?.pid ?? -1;
  }

  async start(): Promise<void> {
    const { folder, properties, logFile } = this.#files;
    const begin = existsSync(logFile) ? readFileSync(logFile).length : 0;
    const output = openSync(logFile, 'a');
    const flags = [...javaFlags, ...this.#flags];
    const args = [...flags, '-cp', join(this.#home, 'jars/*'), 'kafka.Kafka', properties];
    const java = spawn('java', args, { cwd: folder, stdio: ['ignore', output, output] });
    closeSync(output);
    this.#java = java;
    java.unref();
    java.on('error', () => {});
    // Its input ends with this process, whatever ends that, `SIGKILL` included.
    const script = 'cat > /dev/null; kill -9 "$0"; sleep 0.2; rm -rf "$1"; rmdir "${1%/*}"';
    const guard = spawn('sh', ['-c', script, String(java.pid), folder], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    guard.unref();
    (guard.stdin as unknown as { unref(): void }).unref();
    guard.stdin.on('error', () => {});
    this.#guard = guard;
    for (let waitedMs = 0; waitedMs < startTimeoutMs; waitedMs += 20) {
      if (this.log().slice(begin).includes('Kafka Server started')) return;
      if (java.exitCode !== null || java.signalCode !== null || java.pid === undefined) break;
      await sleep(20);
    }
    throw new Error(`node ${this.id} of Kafka did not start: ${this.log().slice(begin)}`);
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const java = this.#java;
    if (java === null) return;
    this.#guard?.kill('SIGKILL');
    this.#java = null;
    if (java.exitCode !== null || java.signalCode !== null) return;
    java.ref();
    const ended = new Promise((resolve) => java.once('exit', resolve));
    java.kill(signal);
    await ended;
  }

  log(): string {
    return readFileSync(this.#files.logFile, 'latin1');
  }
}

type NodePlan = {
  readonly index: number;
  /** First the brokers', then the controllers', then those of logins, and so on. */
  readonly ports: readonly number[];
  readonly formatted: string;
  readonly folder: string;
  readonly options: KafkaServerOptions;
};

function prepareNode({ index, ports, formatted, folder: parent, options }: NodePlan): NodeFiles {
  const count = ports.length / portsPerNode;
  const id = index + 1;
  const folder = join(parent, `node-${id}`);
  const data = join(folder, 'data');
  mkdirSync(data, { recursive: true });
  // What the storage tool would write, without the second that its JVM takes.
  cpSync(join(formatted, 'bootstrap.checkpoint'), join(data, 'bootstrap.checkpoint'));
  const directoryId = randomBytes(16).toString('base64url');
  const meta = ['version=1', `cluster.id=${clusterId}`, `node.id=${id}`];
  writeFileSync(
    join(data, 'meta.properties'),
    `${[...meta, `directory.id=${directoryId}`].join('\n')}\n`,
  );
  const controllers = ports
    .slice(count, count * 2)
    .map((port, other) => `${other + 1}@127.0.0.1:${port}`);
  const at = (kind: number): string => `127.0.0.1:${ports[count * kind + index]}`;
  const secure = [`TLS://${at(3)}`, `MUTUAL://${at(4)}`, `TLSLOGIN://${at(5)}`];
  const open = [`PLAINTEXT://${at(0)}`, `LOGIN://${at(2)}`];
  const listeners = [...open, ...(options.tls === undefined ? [] : secure)].join(',');
  const properties = join(folder, 'server.properties');
  const settings = {
    ...nodeSettings(data),
    'node.id': id,
    'controller.quorum.voters': controllers.join(','),
    listeners: `${listeners},CONTROLLER://${at(1)}`,
    'advertised.listeners': listeners,
    'listener.name.login.plain.sasl.jaas.config': loginModule(options.users ?? {}),
    ...(options.tls === undefined ? {} : tlsSettings(folder, options.tls, options.users ?? {})),
    'offsets.topic.replication.factor': count,
    'transaction.state.log.replication.factor': count,
    'transaction.state.log.min.isr': count === 1 ? 1 : 2,
    'default.replication.factor': count,
    ...options.config,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(properties, lines.join(''));
  const logFile = join(folder, 'log');
  return { folder, properties, logFile };
}

function nodeSettings(data: string): Readonly<Record<string, string | number>> {
  return {
    'process.roles': 'broker,controller',
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map':
      'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT,' +
      'TLS:SSL,MUTUAL:SSL,TLSLOGIN:SASL_SSL',
    'sasl.enabled.mechanisms': 'PLAIN',
    'log.dirs': data,
    'group.initial.rebalance.delay.ms': 0,
    'auto.create.topics.enable': 'false',
    // Each partition of these is a folder with files: fifty make a start and a restart slow.
    'offsets.topic.num.partitions': 2,
    'transaction.state.log.num.partitions': 2,
    // So that a topic whose own `segment.ms` and `min.cleanable.dirty.ratio` are small is compacted
    // at once.
    'log.cleaner.backoff.ms': 50,
    'log.cleaner.dedupe.buffer.size': 8_388_608,
    'log.cleaner.io.buffer.size': 65_536,
    // Both go by the records' own timestamps, which in tests are often of long ago: segments would
    // be many, and be gone at once. A topic may differ.
    'log.roll.ms': '9223372036854775807',
    'log.retention.ms': -1,
    'log.retention.check.interval.ms': 500,
    'log.initial.task.delay.ms': 100,
    // Three nodes must see within seconds that one is gone, and elect anew.
    'broker.heartbeat.interval.ms': 200,
    'broker.session.timeout.ms': 1_500,
    'controller.quorum.election.timeout.ms': 300,
    'controller.quorum.fetch.timeout.ms': 1_000,
    'controller.quorum.election.backoff.max.ms': 200,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'background.threads': 2,
  };
}

function tlsSettings(
  folder: string,
  { cert, key, authority }: NonNullable<KafkaServerOptions['tls']>,
  users: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const own = join(folder, 'broker.pem');
  const trusted = join(folder, 'authority.pem');
  writeFileSync(own, key + cert);
  writeFileSync(trusted, authority);
  const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';
  const login = 'listener.name.tlslogin';
  return {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': own,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': trusted,
    'listener.name.mutual.ssl.client.auth': 'required',
    [`${login}.sasl.enabled.mechanisms`]: 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    [`${login}.plain.sasl.jaas.config`]: loginModule(users),
    [`${login}.scram-sha-256.sasl.jaas.config`]: scram,
    [`${login}.scram-sha-512.sasl.jaas.config`]: scram,
  };
}

function loginModule(users: Readonly<Record<string, string>>): string {
  const known = Object.entries(users).map(([name, password]) => `user_${name}="${password}"`);
  const module = 'org.apache.kafka.common.security.plain.PlainLoginModule required';
  return `${[module, ...known].join(' ')};`;
}

function missingPart(): string | null {
  const java = spawnSync('java', ['-version'], { encoding: 'utf8' });
  if (java.error !== undefined) return 'there is no java on the path';
  const major = Number(/version "(\d+)/.exec(java.stderr)?.[1] ?? 0);
  if (major < 17) return `Kafka ${version} needs Java 17, this is ${java.stderr.split('\n')[0]}`;
  if (existsSync(join(homeFolder(), 'jars')) || onPath('mvn')) return null;
  return 'there is no mvn on the path to fetch it with';
}

function onPath(program: string): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.some((folder) => existsSync(join(folder, program)));
}

function homeFolder(): string {
  return process.env['MIZZLE_KAFKA_HOME'] ?? join(tmpdir(), `mizzle-kafka-jars-${version}`);
}

/** The folder with `jars/`. */
async function installed(): Promise<string> {
  const home = homeFolder();
  const jars = join(home, 'jars');
  await underLock(home, jars, async () => {
    const pom = join(home, 'pom.xml');
    writeFileSync(pom, project(['org.apache.kafka:kafka_2.13:' + version, logger]));
    const part = join(home, 'jars.part');
    rmSync(part, { recursive: true, force: true });
    const copy = ['dependency:copy-dependencies', '-DincludeScope=runtime'];
    await run('mvn', ['-B', '-q', '-f', pom, ...copy, `-DoutputDirectory=${part}`]);
    if (globSync(join(part, 'kafka_2.13-*.jar')).length !== 1) throw new Error('mvn left no Kafka');
    renameSync(part, jars);
  });
  return home;
}

const logger = 'org.slf4j:slf4j-simple:1.7.36';

function project(artifacts: readonly string[]): string {
  const dependencies = artifacts.map((artifact) => {
    const [group, name, number] = artifact.split(':');
    const id = `<groupId>${group}</groupId><artifactId>${name}</artifactId>`;
    return `<dependency>${id}<version>${number}</version></dependency>`;
  });
  return (
    '<project><modelVersion>4.0.0</modelVersion><groupId>mizzle</groupId>' +
    '<artifactId>kafka-for-tests</artifactId><version>1</version><dependencies>' +
    `${dependencies.join('')}</dependencies></project>`
  );
}

/** What Kafka's storage tool writes for a new cluster; made once for each level of the feature. */
async function formattedFolder(home: string, transactionVersion: number): Promise<string> {
  const folder = join(home, `formatted-${transactionVersion}`);
  await underLock(home, folder, async () => {
    const part = `${folder}.part`;
    rmSync(part, { recursive: true, force: true });
    const properties = join(home, 'format.properties');
    const settings = [
      'process.roles=broker,controller',
      'node.id=1',
      'controller.quorum.voters=1@127.0.0.1:1',
      'controller.listener.names=CONTROLLER',
      'listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:1',
      `log.dirs=${part}`,
    ];
    writeFileSync(properties, `${settings.join('\n')}\n`);
    const feature = ['--feature', `transaction.version=${transactionVersion}`];
    const format = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', properties];
    await run('java', [...javaFlags, '-cp', join(home, 'jars/*'), ...format, ...feature]);
    renameSync(part, folder);
  });
  return folder;
}

/**
 * Of a JVM that finds Kafka's classes in an archive of what a first broker has loaded: a start then
 * takes 2.0 s of a processor, not 3.2.
 */
async function archiveFlags(home: string, formatted: string): Promise<readonly string[]> {
  const archive = join(home, 'classes.jsa');
  await underLock(home, archive, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mizzle-kafka-'));
    const ports = await freePorts(portsPerNode);
    const files = prepareNode({ index: 0, ports, formatted, folder, options: {} });
    const part = `${archive}.part`;
    const flags = [`-XX:ArchiveClassesAtExit=${part}`];
    const node = new Node(home, { id: 1, port: ports[0]!, flags, ...files });
    try {
      await node.start();
      await node.kill('SIGTERM');
    } finally {
      await node.kill();
      rmSync(folder, { recursive: true, force: true });
    }
    // Not every JVM can make one.
    if (existsSync(part)) renameSync(part, archive);
    else writeFileSync(archive, '');
  });
  return statSync(archive).size === 0 ? [] : [`-XX:SharedArchiveFile=${archive}`];
}

/** One process makes what is missing, the others wait for it, as test files run side by side. */
async function underLock(home: string, made: string, make: () => Promise<void>): Promise<void> {
  if (existsSync(made)) return;
  mkdirSync(home, { recursive: true });
  const lock = join(home, 'lock');
  while (!existsSync(made)) {
    if (!takeLock(lock)) {
      await sleep(100);
      continue;
    }
    try {
      if (!existsSync(made)) await make();
    } finally {
      rmSync(lock, { force: true });
    }
  }
}

function takeLock(lock: string): boolean {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    try {
      const owner = Number(readFileSync(lock, 'utf8'));
      if (owner > 0) process.kill(owner, 0);
    } catch (error) {
      // Its owner is gone, and did not tidy up.
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') rmSync(lock, { force: true });
    }
    return false;
  }
}

function run(program: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stdout.on('data', (text) => (said += String(text)));
    child.stderr.on('data', (text) => (said += String(text)));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${program} ${args.join(' ')} ended with ${code}: ${said}`));
    });
  });
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const listening = servers.map(
    (server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)),
  );
  await Promise.all(listening);
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
