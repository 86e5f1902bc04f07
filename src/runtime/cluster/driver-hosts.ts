// Hosts as the driver sees them: who is let in, which workers they have, what they say, and when
// one is lost. The driver machine hears of workers only.

import type { Socket } from 'node:net';
import type { ErrorFields } from '../../base/stream-error.ts';
import { StreamError, errorFromData, errorToData } from '../../base/stream-error.ts';
import { codeChunkBytes } from '../../control/limits.ts';
import { refusalText } from '../../control/protocol/byte-reader.ts';
import { ByteWriter } from '../../control/protocol/byte-writer.ts';
import { writeDriverMessage } from '../../control/protocol/driver-codec.ts';
import { workerMessageFits } from '../../control/protocol/fits-plan.ts';
import type { MessageCodecs } from '../../control/protocol/handle-codec.ts';
import type { Hello } from '../../control/protocol/handshake.ts';
import type { HostMessage } from '../../control/protocol/host-messages.ts';
import { readHostMessage } from '../../control/protocol/host-messages.ts';
import type { Incarnation, WorkerId } from '../../control/protocol/ids.ts';
import type { DriverMessage, WorkerLife } from '../../control/protocol/messages.ts';
import { readWorkerMessage } from '../../control/protocol/worker-codec.ts';
import { decodeBatch } from '../../data/columnar/batch-codec.ts';
import type { JobMonitor } from '../../observe/job-monitor.ts';
import type { ClientSinks } from '../host/client-sinks.ts';
import type { DriverShell } from '../host/driver-shell.ts';
import type { JobConfig } from '../host/job-config.ts';
import type { JobSetup } from '../host/job-setup.ts';
import { clusterError } from './cluster-errors.ts';
import type { ClusterOptions } from './cluster-options.ts';
import { Connection } from './connection.ts';
import { admit } from './handshake-exchange.ts';
import { messageCodecs } from './handle-codecs.ts';
import { ownIdentity } from './identity.ts';
import type { HostEntry, JobDescription } from './job-description.ts';
import { hostRefusal, otherJobError, returningRefusal, startOverError } from './refusals.ts';
import type { ReturnedHost } from './returning-hosts.ts';
import { allReturned, connectedHosts, jobHash, readReturnedHost } from './returning-hosts.ts';
import type { Listener } from './sockets.ts';
import { listen } from './sockets.ts';
import type { HostStatus } from './status-server.ts';
import { WorkerNumbers } from './worker-numbers.ts';

type Member = {
  readonly connection: Connection;
  readonly hello: Hello;
  /** `host "name" at address`. */
  readonly name: string;
  firstWorker: number;
  /** Its workers have numbers, and other hosts are told of it. */
  isPlaced: boolean;
  /** It worked for a driver before this one. */
  readonly returns: boolean;
  /** Of its workers: greater than that of all before them who had their numbers. */
  incarnation: Incarnation;
  isLost: boolean;
  readonly joined: Set<WorkerId>;
  readonly closed: Set<WorkerId>;
};

/** How long hosts may take to load the pipeline and to find each other, ms. */
const startMs = 120_000;

/** For so long a driver that goes on waits for hosts of the one before it, ms. */
const returnGraceMs = 1_000;

/** For so long it waits for the rest once the first has come, ms. */
const returnWaitMs = 2_000;

/** How long workers may take to close what they have opened, ms. */
const closeMs = 10_000;

export class DriverHosts {
  readonly #setup: JobSetup;
  readonly #cluster: ClusterOptions;
  readonly #driver: DriverShell;
  readonly #monitor: JobMonitor;
  readonly #sinks: ClientSinks;
  readonly #codecs: MessageCodecs;
  #members: Member[] = [];
  readonly #byWorker = new Map<WorkerId, Member>();
  #listener: Listener | null = null;
  /** The job has been sent: without recovery nobody can be let in, and nobody may be lost. */
  #started = false;
  #beganMs = 0;
  /** Hosts of a driver before this one that have said what they bring, by id. */
  readonly #returned = new Map<string, { readonly member: Member; readonly said: ReturnedHost }>();
  #returnTimer: NodeJS.Timeout | null = null;
  /** Hosts of a driver before this one may come first. */
  #waitsForReturn = false;
  readonly #numbers = new WorkerNumbers();
  #over = false;
  #startTimer: NodeJS.Timeout | null = null;
  #failure: unknown = null;
  readonly #allClosed = Promise.withResolvers<void>();
  /** The message sent last and its bytes: most go to all workers. */
  #encoded: { readonly message: DriverMessage; readonly bytes: Uint8Array } | null = null;

  constructor(options: {
    readonly setup: JobSetup;
    readonly cluster: ClusterOptions;
    readonly driver: DriverShell;
    readonly monitor: JobMonitor;
    readonly sinks: ClientSinks;
  }) {
    this.#setup = options.setup;
    this.#cluster = options.cluster;
    this.#driver = options.driver;
    this.#monitor = options.monitor;
    this.#sinks = options.sinks;
    this.#codecs = messageCodecs(options.setup.plan.sources.map(({ id }) => id));
  }

  async listen(): Promise<void> {
    const { listen: endpoint, security, log, onListening } = this.#cluster;
    this.#listener = await listen({
      endpoint,
      tls: security.tls,
      onSocket: (socket, from) => {
        this.#admit(socket, from).catch((error: unknown) => {
          log('warn', `turned away ${from}: ${(error as Error).message}`, codeOf(error));
        });
      },
      onRefused: (from, error) => log('warn', `turned away ${from}: ${error.message}`),
    });
    const { port } = this.#listener;
    if (this.#cluster.mayReturn && (this.#setup.durable?.latest ?? null) !== null) {
      this.#waitsForReturn = true;
      this.#returnTimer = setTimeout(() => this.#onReturnLate(), returnGraceMs);
    }
    log('info', `waiting for ${this.#setup.threads} workers at ${endpoint.host}:${port}`);
    onListening?.(port);
  }

  send(to: WorkerId, message: DriverMessage): void {
    const member = this.#byWorker.get(to);
    if (member === undefined) return;
    if (this.#encoded?.message !== message) {
      const writer = new ByteWriter();
      writeDriverMessage(writer, message, this.#codecs);
      this.#encoded = { message, bytes: Buffer.concat(writer.finish()) };
    }
    member.connection.tell({ kind: 'to-worker', worker: to, message: this.#encoded.bytes });
  }

  status(): readonly HostStatus[] {
    return this.#members.map(({ hello, joined }) => ({
      name: hello.host,
      address: `${hello.address}:${hello.port}`,
      workers: hello.workers,
      joined: joined.size,
    }));
  }

  failedWith(error: unknown): void {
    this.#failure = error;
  }

  async shutDown(graceful: boolean): Promise<void> {
    if (graceful && this.#started) {
      this.#settleClosed();
      const late = new Promise<void>((resolve) => setTimeout(resolve, closeMs).unref());
      await Promise.race([this.#allClosed.promise, late]);
    }
    this.#over = true;
    if (this.#startTimer !== null) clearTimeout(this.#startTimer);
    if (this.#returnTimer !== null) clearTimeout(this.#returnTimer);
    const error = this.#failure === null ? null : errorToData(this.#failure);
    // Another driver has the job: it is not at its end, and hosts look for that one.
    const goesOn = this.#recovers() && ['lease-lost', 'fenced'].includes(error?.code ?? '');
    for (const { connection } of this.#members) {
      if (!goesOn) connection.tell({ kind: 'end', error });
      connection.end();
    }
    this.#listener?.close();
  }

  async #admit(socket: Socket, from: string): Promise<void> {
    const { security, timeoutMs, log } = this.#cluster;
    const connection = new Connection({
      peer: `a host at ${from}`,
      socket,
      allocate: (bytes) => new Uint8Array(bytes),
      timeoutMs,
    });
    let member: Member | null = null;
    try {
      await admit(connection, {
        identity: ownIdentity(),
        security,
        check: async (hello) => {
          const returns = hello.role === 'returning';
          const isLate = !this.#recovers() || this.#started || this.#over;
          const refuse = returns ? returningRefusal : hostRefusal;
          const error = refuse(connection.peer, hello, {
            isLate,
            planHash: this.#setup.config.planHash,
            hosts: this.#members.map((other) => other.hello.host),
            workers: this.#setup.threads,
            missing: this.#places(),
          });
          if (error !== null) return error;
          // Reserved at once: two hosts must not be let in for the same place.
          const name = `host "${hello.host}" at ${from}`;
          member = {
            connection,
            hello,
            name,
            firstWorker: 0,
            isPlaced: false,
            returns,
            incarnation: hello.incarnation,
            isLost: false,
            joined: new Set(),
            closed: new Set(),
          };
          this.#members.push(member);
          return null;
        },
      });
    } catch (error) {
      if (member !== null) this.#forget(member);
      throw error;
    }
    this.#listener!.known(socket);
    const admitted: Member = member!;
    connection.peer = admitted.name;
    connection.open(() => this.#setup.clock.nowMs());
    connection.listen({
      onFrame: (frame) => this.#onFrame(admitted, frame),
      onClosed: (error) => this.#onClosed(admitted, error),
    });
    const { workers } = admitted.hello;
    if (admitted.returns) return;
    if (this.#started) return this.#addLate(admitted);
    log('info', `${admitted.name} joined`, { workers, missing: this.#missing() });
    this.#startWhenComplete();
  }

  /** How many workers may still come. */
  #places(): number {
    if (!this.#started) return this.#missing();
    if (!this.#recovers() || this.#over) return 0;
    return this.#numbers.left;
  }

  /** A durable run takes whoever comes: its workers get their share with the next recovery. */
  #addLate(member: Member): void {
    this.#take(member);
    const living = this.#members.filter((other) => other.isPlaced);
    const text = JSON.stringify(entryOf(member));
    for (const other of living) {
      if (other !== member) other.connection.tell({ kind: 'host-added', text });
    }
    this.#cluster.log('info', `${member.name} came`, { workers: member.hello.workers });
    this.#sendJob([member], living);
  }

  /** Numbers the workers of a host. */
  #take(member: Member): void {
    const { first, incarnation } = this.#numbers.take(member.hello.workers);
    member.firstWorker = first;
    member.isPlaced = true;
    member.incarnation = Math.max(member.hello.incarnation, incarnation) as Incarnation;
    for (const worker of workersOf(member)) this.#byWorker.set(worker, member);
  }

  #onReturned(member: Member, text: string): void {
    const said = readReturnedHost(text);
    if (said === null || !member.returns) return member.connection.refuse('what no host brings');
    const isOther = said.job !== jobHash(this.#setup.config);
    if (isOther) return this.#startOver(member, otherJobError(member.name));
    // Its last worker may have ended while there was no driver.
    if (this.#started || this.#over || said.workers.length === 0) {
      return this.#startOver(member, startOverError(member.name));
    }
    if (this.#returned.size === 0) {
      if (this.#returnTimer !== null) clearTimeout(this.#returnTimer);
      this.#returnTimer = setTimeout(() => this.#onReturnLate(), returnWaitMs);
      this.#waitsForReturn = true;
    }
    this.#returned.set(member.hello.host, { member, said });
    this.#numbers.startAt(said.nextWorker);
    this.#cluster.log('info', `${member.name} returned`, { workers: said.workers.length });
    if (allReturned(this.#whatReturned())) this.#takeOver();
  }

  #whatReturned(): ReadonlyMap<string, ReturnedHost> {
    return new Map(Array.from(this.#returned, ([host, { said }]) => [host, said]));
  }

  #onReturnLate(): void {
    this.#waitsForReturn = false;
    if (this.#returned.size > 0) this.#takeOver();
    else this.#startWhenComplete();
  }

  /** Goes on with those that have returned and reach each other; the rest begin anew. */
  #takeOver(): void {
    if (this.#started || this.#over) return;
    if (this.#returnTimer !== null) clearTimeout(this.#returnTimer);
    this.#waitsForReturn = false;
    this.#started = true;
    const together = connectedHosts(this.#whatReturned());
    this.#beganMs = Math.round(this.#setup.clock.nowMs());
    this.#monitor.startsAt(this.#beganMs);
    const fresh = this.#members.filter(({ returns }) => !returns);
    const workers: (WorkerLife & { readonly host: number })[] = [];
    for (const [host, { member, said }] of this.#returned) {
      if (!together.has(host)) {
        this.#leaveOut(member);
        continue;
      }
      member.firstWorker = said.firstWorker;
      member.isPlaced = true;
      for (const worker of livingOf(member, said)) {
        this.#byWorker.set(worker, member);
        member.joined.add(worker);
        const { incarnation } = member.hello;
        workers.push({ worker, incarnation, host: member.firstWorker });
      }
    }
    this.#returned.clear();
    this.#cluster.log('info', 'took over', { hosts: together.size, workers: workers.length });
    for (const life of workers)
      this.#driver.step({ kind: 'worker-joined', ...life, returns: true });
    this.#driver.step({ kind: 'take-over' });
    for (const member of fresh) this.#addLate(member);
  }

  /** Of the hosts that have returned, one that cannot go on with the others. */
  #leaveOut(member: Member): void {
    this.#returned.delete(member.hello.host);
    this.#startOver(member, startOverError(member.name));
  }

  /** What its workers have is of no use: it comes again, as a new host. */
  #startOver(member: Member, error: StreamError): void {
    member.isLost = true;
    this.#cluster.log('warn', error.message);
    member.connection.tell({ kind: 'start-over', error: errorToData(error) });
    member.connection.end();
    this.#giveUp(member);
  }

  /** Its numbers are free, and those who are still looking for it need not wait. */
  #giveUp(member: Member): void {
    this.#forget(member);
    if (!member.isPlaced) return;
    for (const worker of workersOf(member)) this.#byWorker.delete(worker);
    const { firstWorker: first, incarnation, hello } = member;
    this.#numbers.giveBack({ first, count: hello.workers, incarnation });
    for (const { connection } of this.#members) {
      connection.tell({ kind: 'host-removed', host: hello.host });
    }
    this.#clearWhenJoined();
  }

  #clearWhenJoined(): void {
    if (this.#isComplete() && this.#startTimer !== null) clearTimeout(this.#startTimer);
  }

  #isComplete(): boolean {
    return this.#members.every((member) => member.returns || isComplete(member));
  }

  /** A module that never finishes loading must not keep everybody waiting. */
  #onStartLate(): void {
    const late = this.#members.filter((member) => !member.returns && !isComplete(member));
    const names = late.map(({ name }) => name).join(', ');
    this.#driver.fail(
      clusterError({
        code: 'host-lost',
        message: `${names} did not load the pipeline within ${startMs / 1000} s`,
        hint: 'does the module wait for something that those hosts cannot reach?',
        peer: names,
      }),
    );
  }

  #missing(): number {
    let offered = 0;
    for (const { hello, returns } of this.#members) if (!returns) offered += hello.workers;
    return this.#setup.threads - offered;
  }

  #startWhenComplete(): void {
    if (this.#started || this.#over || this.#waitsForReturn || this.#missing() > 0) return;
    this.#started = true;
    // Whoever has not said yet what it brings is too late.
    const fresh = this.#members.filter(({ returns }) => !returns);
    for (const member of fresh) this.#take(member);
    this.#beganMs = Math.round(this.#setup.clock.nowMs());
    this.#monitor.startsAt(this.#beganMs);
    this.#startTimer = setTimeout(() => this.#onStartLate(), startMs);
    this.#sendJob(fresh, fresh);
  }

  #sendJob(to: readonly Member[], hosts: readonly Member[]): void {
    // What was kept counts from the start of its history.
    const startsMs = this.#recovers() ? this.#setup.config.startMs : this.#beganMs;
    const config: JobConfig = { ...this.#setup.config, startMs: startsMs };
    const { bundle, argv } = this.#cluster;
    const description: JobDescription = {
      config,
      codeHash: bundle.hash,
      codeBytes: bundle.code.length,
      argv,
      hosts: hosts.map(entryOf),
    };
    const text = JSON.stringify(description);
    for (const { connection } of to) connection.tell({ kind: 'job', text });
  }

  #onFrame(member: Member, frame: Uint8Array): void {
    if (member.isLost) return;
    const decoded = readHostMessage(frame);
    if (!decoded.ok) return member.connection.refuse(refusalText(decoded.refusal));
    const message = decoded.value;
    if ('worker' in message && message.worker !== null) {
      if (this.#byWorker.get(message.worker) !== member) {
        if (member.returns) return this.#onEarly(member, message);
        return member.connection.refuse(`a frame of worker ${message.worker}, who is not there`);
      }
    }
    this.#onMessage(member, message);
  }

  /** Of a worker that has returned and has no part yet: nobody knows how it goes on. */
  #onEarly(member: Member, message: HostMessage): void {
    if (message.kind === 'commit') return this.#onCommit(member.connection, message);
    if (message.kind !== 'closed' && message.kind !== 'failed') return;
    if (message.worker !== null) member.closed.add(message.worker);
    const said = this.#returned.get(member.hello.host)?.said;
    if (said !== undefined && livingOf(member, said).length === 0) this.#leaveOut(member);
  }

  #onMessage(member: Member, message: HostMessage): void {
    const { connection } = member;
    switch (message.kind) {
      case 'to-driver':
        return this.#onWorkerMessage(member, message.worker, message.message);
      case 'need-code':
        return this.#sendCode(connection);
      case 'joined': {
        member.joined.add(message.worker);
        this.#clearWhenJoined();
        const { worker } = message;
        const { incarnation, firstWorker: host } = member;
        return this.#driver.step({ kind: 'worker-joined', worker, incarnation, host });
      }
      case 'commit':
        return this.#onCommit(connection, message);
      case 'closed':
        member.closed.add(message.worker);
        return this.#settleClosed();
      case 'failed':
        return this.#onFailed(
          member,
          located(errorFromData(message.error), member, message.worker),
        );
      case 'peer-lost':
        return this.#onPeerLost(member, message.host, errorFromData(message.error));
      case 'pong':
        return;
      case 'returned':
        return this.#onReturned(member, message.text);
      default:
        return connection.refuse(`a frame "${message.kind}", which hosts do not send`);
    }
  }

  #onWorkerMessage(member: Member, worker: WorkerId, bytes: Uint8Array): void {
    const decoded = readWorkerMessage(bytes, this.#codecs);
    if (!decoded.ok) return member.connection.refuse(refusalText(decoded.refusal));
    const message = decoded.value;
    const { config, plan } = this.#setup;
    const { exchanges } = plan;
    if (!workerMessageFits(message, { partitionCounts: config.partitionCounts, exchanges })) {
      return member.connection.refuse(`"${message.kind}" of another plan`);
    }
    this.#driver.step({ kind: 'message-received', from: worker, message });
  }

  #sendCode(connection: Connection): void {
    const { code } = this.#cluster.bundle;
    for (let offset = 0; offset < code.length; offset += codeChunkBytes) {
      const bytes = code.subarray(offset, offset + codeChunkBytes);
      connection.tell({ kind: 'code', offset, bytes });
    }
  }

  #onCommit(connection: Connection, message: Extract<HostMessage, { kind: 'commit' }>): void {
    const { worker, commit, partition, since, batch, watermarkMs } = message;
    const sink = this.#setup.plan.sinks[message.sink];
    if (sink === undefined) return connection.refuse(`rows for sink ${message.sink}`);
    const settle = (error: unknown): void => {
      const data = error === null ? null : errorToData(error);
      connection.tell({ kind: 'committed', worker, commit, error: data });
    };
    try {
      const rows = decodeBatch(sink.schema, message.rows);
      this.#sinks
        .commit(sink.id, { partition, since }, { batch, rows, watermarkMs })
        .then(() => settle(null), settle);
    } catch (error) {
      settle(error);
    }
  }

  /** Whatever the job was doing, also when it was about to end well. */
  #onFailed(member: Member, error: StreamError): void {
    const { worker: lost } = error.fields;
    if (this.#recovers() && error.code === 'worker-lost' && typeof lost === 'number') {
      const data = errorToData(error);
      return this.#driver.step({ kind: 'worker-lost', worker: lost as WorkerId, error: data });
    }
    this.#driver.fail(error);
    const worker = member.firstWorker as WorkerId;
    this.#driver.step({ kind: 'worker-lost', worker, error: errorToData(error) });
  }

  /**
   * Both ends of a broken connection live: without it the job cannot go on. Of two that never
   * reached each other, the one that has come last is given up.
   */
  #onPeerLost(member: Member, host: string, error: StreamError): void {
    if (this.#over) return;
    const lost = this.#members.find(({ hello }) => hello.host === host);
    // It is gone already, or has begun anew under another name.
    if (lost === undefined) return;
    // What the two have said of each other, or will, is not true any more.
    if (!lost.isPlaced) return this.#leaveOut(lost);
    const isNew = !member.returns && !isComplete(member) && isComplete(lost);
    this.#lose(isNew ? member : lost, hostLost(lost.name, error, `as ${member.name} reports`));
  }

  #onClosed(member: Member, error: StreamError | null): void {
    if (this.#over) return;
    const { log } = this.#cluster;
    if (!this.#started || (member.returns && member.joined.size === 0)) {
      this.#forget(member);
      this.#returned.delete(member.hello.host);
      log('warn', `lost ${member.name}`, { missing: this.#missing() });
      return;
    }
    this.#lose(member, hostLost(member.name, error, null));
  }

  #lose(member: Member, error: StreamError): void {
    if (member.isLost) return;
    member.isLost = true;
    this.#cluster.log('warn', error.message, { workers: member.hello.workers });
    for (const worker of workersOf(member)) {
      member.closed.add(worker);
      this.#driver.step({ kind: 'worker-lost', worker, error: errorToData(error) });
    }
    this.#settleClosed();
    if (!this.#recovers()) return;
    this.#giveUp(member);
    // It may live on and not know: nobody listens to it any more.
    member.connection.tell({ kind: 'end', error: errorToData(error) });
    member.connection.end();
  }

  /** The driver has given up one worker: its host lives, but for that thread if it has others. */
  evicted(worker: WorkerId, error: StreamError): void {
    const member = this.#byWorker.get(worker);
    member?.closed.add(worker);
    this.#settleClosed();
    if (member === undefined || member.isLost) return;
    // Of its other workers the same is true, or will be.
    if (!isSuperseded(error) && !isSpent(member)) return;
    this.#startOver(member, error);
    for (const other of member.joined) {
      member.closed.add(other);
      if (other === worker) continue;
      this.#driver.step({ kind: 'worker-lost', worker: other, error: errorToData(error) });
    }
    this.#settleClosed();
  }

  #recovers(): boolean {
    return this.#setup.durable !== null;
  }

  #forget(member: Member): void {
    this.#members = this.#members.filter((other) => other !== member);
  }

  #settleClosed(): void {
    for (const { joined, closed } of this.#members) {
      for (const worker of joined) if (!closed.has(worker)) return;
    }
    this.#allClosed.resolve();
  }
}

/** Another driver, or a worker under it, has decided without this one. */
function isSuperseded({ code }: StreamError): boolean {
  return code === 'worker-outdated' || code === 'fenced';
}

/** None of its workers is left. */
function isSpent(member: Member): boolean {
  const { closed, joined, returns } = member;
  return (returns || isComplete(member)) && [...joined].every((worker) => closed.has(worker));
}

/** Those of its workers that have not ended since it said what it brings. */
function livingOf({ closed }: Member, { workers }: ReturnedHost): readonly WorkerId[] {
  return workers.map((worker) => worker as WorkerId).filter((worker) => !closed.has(worker));
}

function isComplete({ joined, hello }: Member): boolean {
  return joined.size === hello.workers;
}

function workersOf({ firstWorker, hello }: Member): readonly WorkerId[] {
  return Array.from({ length: hello.workers }, (_, index) => (firstWorker + index) as WorkerId);
}

function entryOf({ hello, firstWorker, incarnation }: Member): HostEntry {
  const { host, address, port, workers: workerCount } = hello;
  return { host, incarnation, address, port, firstWorker, workerCount };
}

function hostLost(name: string, cause: StreamError | null, by: string | null): StreamError {
  const why = cause === null ? '' : `: ${cause.message}`;
  return clusterError({
    code: 'host-lost',
    message: `lost ${name}${by === null ? '' : `, ${by}`}${why}`,
    hint: 'look for the cause in the output of that host; then start the job again',
    peer: name,
    ...(cause === null ? {} : { cause }),
  });
}

function located(error: StreamError, member: Member, worker: WorkerId | null): StreamError {
  const { code, message, hint } = error;
  const fields: ErrorFields = {
    ...error.fields,
    host: member.name,
    ...(worker === null ? {} : { worker }),
  };
  const advice = hint === undefined ? {} : { hint };
  return new StreamError({ code, message, fields, cause: error, ...advice });
}

function codeOf(error: unknown): ErrorFields {
  return error instanceof StreamError ? { code: error.code } : {};
}
