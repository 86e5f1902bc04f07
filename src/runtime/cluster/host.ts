// One host of a cluster: finds the driver, gets the job and its code, runs worker threads, and
// passes frames between them, the driver and the other hosts. It decides nothing. Without a driver
// the workers of a durable run finish what they may, and the host looks for the next one.

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import process from 'node:process';
import type { Socket } from 'node:net';
import { StreamError, errorFromData, errorToData } from '../../base/stream-error.ts';
import type { StreamErrorData } from '../../base/stream-error.ts';
import { refusalText } from '../../control/protocol/byte-reader.ts';
import type { HostMessage } from '../../control/protocol/host-messages.ts';
import {
  readFrameTarget,
  readHostMessage,
  readPeerEnvelope,
  toPeerKind,
} from '../../control/protocol/host-messages.ts';
import type { Incarnation, WorkerId } from '../../control/protocol/ids.ts';
import { keepCompiled } from '../host/keep-compiled.ts';
import { RunClock } from '../host/run-clock.ts';
import { sharedPages } from '../host/shared-pages.ts';
import { ClockOffset } from './clock-offset.ts';
import { clusterError } from './cluster-errors.ts';
import { CodeCache } from './code-cache.ts';
import { Connection } from './connection.ts';
import { admit, introduce } from './handshake-exchange.ts';
import { HostThreads } from './host-threads.ts';
import type { Identity } from './identity.ts';
import { ownIdentity } from './identity.ts';
import { codeHash } from './bundle-job.ts';
import type { HostEntry, JobDescription } from './job-description.ts';
import { readHostEntry, readJobDescription } from './job-description.ts';
import type { ReturnedHost } from './returning-hosts.ts';
import { jobHash } from './returning-hosts.ts';
import type { Log } from './log.ts';
import { peerRefusal } from './refusals.ts';
import { reachDriver } from './reach-driver.ts';
import type { Security } from './security.ts';
import { exposure } from './security.ts';
import type { Endpoint, Listener } from './sockets.ts';
import { dial, listen } from './sockets.ts';

export type HostOptions = {
  /** Where drivers listen, or will: the first that answers counts. */
  readonly connect: readonly Endpoint[];
  /** Worker threads. */
  readonly workers: number;
  readonly security: Security;
  readonly insecure: boolean;
  /** Where other hosts reach this one. Null: at the address that the driver is reached from. */
  readonly listen: Endpoint | null;
  readonly timeoutMs: number;
  /** How long to wait for a driver. */
  readonly waitMs: number;
  /** How long workers wait for another when it is lost; 0: they end with it. */
  readonly returnMs: number;
  /** Where job code is kept; null: in the user's cache folder. */
  readonly cacheFolder: string | null;
  readonly log: Log;
};

/** Round trips before the job starts, and the pause between them, ms. */
const firstProbes = 8;
const probeMs = 10;

/** How long another host may take to hear of the job that this one knows of already, ms. */
const welcomeMs = 30_000;

/**
 * Runs until the driver ends the job. Resolves with the error that the job failed with, if it did;
 * rejects when the driver was not found, refused this host, or was lost.
 */
export async function runHost(options: HostOptions): Promise<StreamErrorData | null> {
  for (;;) {
    try {
      return await new Host(options).run();
    } catch (error) {
      if (!(error instanceof StartOver)) throw error;
      options.log('warn', `starts over: ${error.message}`, { code: error.reason.code });
    }
  }
}

/** What the workers have is of no use any more: the host comes again, as a new one. */
class StartOver extends Error {
  readonly reason: StreamError;

  constructor(reason: StreamError) {
    super(reason.message);
    this.reason = reason;
  }
}

/** How long a host that comes waits for the driver to find out that another is dead, ms. */
const suspectMs = 2_000;

class Host {
  readonly #options: HostOptions;
  readonly #id = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
  /** What it says before the driver has given its workers a greater one. */
  #incarnation = 1 as Incarnation;
  readonly #identity: Identity = ownIdentity();
  readonly #clock = new RunClock();
  #offset = new ClockOffset();
  #appliedMs = 0;
  readonly #allocate = sharedPages();
  readonly #ended = Promise.withResolvers<StreamErrorData | null>();
  readonly #job = Promise.withResolvers<JobDescription>();
  #driver: Connection | null = null;
  #listener: Listener | null = null;
  #code: { readonly bytes: Uint8Array; filled: number } | null = null;
  #description: JobDescription | null = null;
  /** Hosts that have come since the job was sent, by id; and who waits to hear of one. */
  readonly #added = new Map<string, PromiseWithResolvers<HostEntry>>();
  /** Hosts that cannot be reached, of which the driver has not been told yet. */
  readonly #suspected = new Map<string, NodeJS.Timeout>();
  /** No worker of the job, as far as is known here, has had this number or a greater one. */
  #nextWorker = 0;
  #threads: HostThreads | null = null;
  /** By the other host's id. */
  readonly #peers = new Map<string, Connection>();
  /** Hosts of the job that it has to reach before its workers may join. */
  readonly #awaited = new Set<string>();
  /** Which peer each worker elsewhere lives at. */
  readonly #routes = new Map<WorkerId, Connection>();
  #threadsReady: WorkerId[] = [];
  /** Workers that have joined and neither ended nor failed. */
  readonly #workers = new Set<WorkerId>();
  #over = false;

  constructor(options: HostOptions) {
    this.#options = options;
    // Nobody may wait for them.
    this.#ended.promise.catch(() => {});
    this.#job.promise.catch(() => {});
  }

  async run(): Promise<StreamErrorData | null> {
    try {
      this.#follow(await this.#join());
      return await this.#ended.promise;
    } finally {
      await this.#shutDown();
    }
  }

  #follow(driver: Connection): void {
    this.#driver = driver;
    driver.open(() => this.#clock.nowMs());
    driver.listen({
      onFrame: (frame) => this.#onDriverFrame(frame),
      onFramesEnd: () => this.#threads?.deliver(),
      onClosed: (error) => this.#onDriverLost(driver, error),
    });
    void this.#probe(driver);
  }

  #join(): Promise<Connection> {
    const { security, insecure, log, waitMs, workers } = this.#options;
    return reachDriver({
      endpoints: this.#options.connect,
      tls: security.tls,
      waitMs,
      log,
      introduce: async (socket, name) => {
        const own = socket.localAddress ?? '127.0.0.1';
        const bound = this.#options.listen ?? { host: own, port: 0 };
        const exposed = exposure(bound.host, security, insecure);
        if (exposed !== null) {
          socket.destroy();
          throw exposed;
        }
        this.#listener ??= await this.#listen(bound);
        const connection = this.#connection(socket, name);
        await introduce(connection, {
          identity: this.#identity,
          security,
          introduction: {
            role: 'host',
            host: this.#id,
            incarnation: this.#incarnation,
            planHash: '',
            // A wildcard is no address that others could connect to.
            address: ['0.0.0.0', '::'].includes(bound.host) ? own : bound.host,
            port: this.#listener.port,
            workers,
          },
        });
        log('info', `joined ${name}`, { host: this.#id, workers });
        keepCompiled();
        return connection;
      },
    });
  }

  #connection(socket: Socket, peer: string): Connection {
    const { timeoutMs } = this.#options;
    return new Connection({ peer, socket, allocate: this.#allocate, timeoutMs });
  }

  #listen(endpoint: Endpoint): Promise<Listener> {
    const { security, log } = this.#options;
    return listen({
      endpoint,
      tls: security.tls,
      onSocket: (socket, from) => {
        const connection = this.#connection(socket, `a host at ${from}`);
        this.#admitPeer(connection).then(
          () => this.#listener?.known(socket),
          (error: unknown) => log('warn', `turned away ${from}: ${(error as Error).message}`),
        );
      },
      onRefused: (from, error) => log('warn', `turned away ${from}: ${error.message}`),
    });
  }

  async #admitPeer(connection: Connection): Promise<void> {
    const { security } = this.#options;
    let entry: HostEntry | null = null;
    await admit(connection, {
      identity: this.#identity,
      security,
      check: async (said) => {
        const job = await this.#jobSoon();
        // Strangers need not wait: only who works for the plan may be one that comes later.
        const isStranger = said.role !== 'peer' || said.planHash !== job?.config.planHash;
        if (job === null || isStranger) return peerRefusal(connection.peer, said, job);
        entry = await this.#entrySoon(job, said.host);
        return peerRefusal(connection.peer, said, job, entry === null ? [] : [entry]);
      },
    });
    this.#addPeer(connection, entry!);
  }

  /** A host that comes later may be here before the driver has told of it; null: nobody tells. */
  #entrySoon({ hosts }: JobDescription, host: string): Promise<HostEntry | null> {
    const known = hosts.find((entry) => entry.host === host);
    if (known !== undefined) return Promise.resolve(known);
    return soon(this.#entry(host).promise);
  }

  #entry(host: string): PromiseWithResolvers<HostEntry> {
    let entry = this.#added.get(host);
    if (entry === undefined) this.#added.set(host, (entry = Promise.withResolvers()));
    return entry;
  }

  /** Another host may know of the job before this one does, but not long before; else null. */
  #jobSoon(): Promise<JobDescription | null> {
    return soon(this.#job.promise);
  }

  #onDriverFrame(frame: Uint8Array): void {
    const worker = readFrameTarget(frame);
    if (worker !== null && this.#threads?.has(worker) === true) {
      return this.#threads.add(worker, frame);
    }
    const decoded = readHostMessage(frame);
    if (decoded.ok) return this.#onDriverMessage(decoded.value);
    this.#driver!.refuse(refusalText(decoded.refusal));
  }

  #onDriverMessage(message: HostMessage): void {
    switch (message.kind) {
      case 'start-over':
        return this.#ended.reject(new StartOver(errorFromData(message.error)));
      case 'job':
        return this.#onJob(message.text);
      case 'code':
        return this.#onCode(message.offset, message.bytes);
      case 'pong':
        return this.#onPong(message.sentMs, message.nowMs);
      case 'host-added': {
        const entry = readHostEntry(message.text);
        if (entry === null) return this.#driver!.refuse('a host that makes no sense');
        this.#count(entry);
        return this.#entry(entry.host).resolve(entry);
      }
      case 'host-removed':
        return this.#remove(message.host);
      case 'end':
        this.#over = true;
        return this.#ended.resolve(message.error);
      default:
        return this.#driver!.refuse(`a frame "${message.kind}", which drivers do not send`);
    }
  }

  #onJob(text: string): void {
    const description = readJobDescription(text);
    if (description === null || this.#description !== null) {
      return this.#driver!.refuse('a job that makes no sense');
    }
    this.#description = description;
    for (const entry of description.hosts) {
      this.#count(entry);
      if (entry.host !== this.#id) this.#awaited.add(entry.host);
    }
    this.#job.resolve(description);
    const url = this.#cache().find(description.codeHash);
    if (url !== null) return this.#start(url);
    this.#code = { bytes: new Uint8Array(description.codeBytes), filled: 0 };
    this.#driver!.tell({ kind: 'need-code' });
  }

  #onCode(offset: number, bytes: Uint8Array): void {
    const code = this.#code;
    if (code === null || offset !== code.filled || bytes.length > code.bytes.length - offset) {
      return this.#driver!.refuse('job code that does not fit');
    }
    code.bytes.set(bytes, offset);
    code.filled += bytes.length;
    if (code.filled < code.bytes.length) return;
    this.#code = null;
    const { codeHash: expected } = this.#description!;
    if (codeHash(code.bytes) !== expected) return this.#driver!.refuse('job code of another hash');
    this.#start(this.#cache().keep(expected, code.bytes));
  }

  #cache(): CodeCache {
    const { cacheFolder } = this.#options;
    return cacheFolder === null ? new CodeCache() : new CodeCache(cacheFolder);
  }

  #start(module: string): void {
    const description = this.#description!;
    const me = description.hosts.findIndex(({ host }) => host === this.#id);
    const own = description.hosts[me];
    if (own === undefined) return this.#driver!.refuse('a job in which this host has no part');
    this.#incarnation = own.incarnation as Incarnation;
    this.#appliedMs = this.#offset.offsetMs;
    const { epochMs, monotonicMs } = this.#clock.base;
    const clockBase = { epochMs: epochMs + this.#appliedMs, monotonicMs };
    this.#threads = new HostThreads({
      firstWorker: own.firstWorker as WorkerId,
      count: own.workerCount,
      incarnation: this.#incarnation,
      module,
      config: { ...description.config, clockBase },
      argv: description.argv,
      send: (to, frame) => (to === 'driver' ? this.#driver : this.#routes.get(to))?.send(frame),
      onJoined: (worker) => {
        this.#threadsReady.push(worker);
        this.#joinWhenReady();
      },
      onClosed: (worker) => {
        this.#workers.delete(worker);
        this.#tell({ kind: 'closed', worker });
      },
      onFailed: (worker, error) => {
        this.#workers.delete(worker);
        this.#fail(worker, error);
      },
    });
    for (const entry of description.hosts.slice(0, me)) {
      if (!this.#awaited.has(entry.host)) continue;
      this.#connect(entry).catch((error: unknown) => this.#onUnreached(entry, error));
    }
    this.#joinWhenReady();
  }

  #onUnreached({ host }: HostEntry, error: unknown): void {
    const { config } = this.#description!;
    if (config.durability === null || !(error instanceof StreamError)) this.#fail(null, error);
    else this.#onPeerLost(host, error);
  }

  async #connect(entry: HostEntry): Promise<void> {
    const { security } = this.#options;
    const name = `host "${entry.host}" at ${entry.address}:${entry.port}`;
    const endpoint = { host: entry.address, port: entry.port };
    let socket: Socket;
    try {
      socket = await dial(endpoint, { tls: security.tls, checkName: false });
    } catch (error) {
      if (error instanceof StreamError) throw error;
      throw clusterError({
        code: 'host-lost',
        message: `host "${this.#id}" could not reach ${name}: ${(error as Error).message}`,
        hint: 'hosts must reach each other: `mizzle worker --listen` says at which address',
        peer: name,
        cause: error,
      });
    }
    const connection = this.#connection(socket, name);
    await introduce(connection, {
      identity: this.#identity,
      security,
      introduction: {
        role: 'peer',
        host: this.#id,
        incarnation: this.#incarnation,
        planHash: this.#description!.config.planHash,
        address: '',
        port: 0,
        workers: this.#options.workers,
      },
      welcomeMs,
    });
    this.#addPeer(connection, entry);
  }

  #addPeer(connection: Connection, entry: HostEntry): void {
    connection.peer = `host "${entry.host}" at ${entry.address}:${entry.port}`;
    this.#added.delete(entry.host);
    this.#awaited.delete(entry.host);
    this.#peers.set(entry.host, connection);
    for (let index = 0; index < entry.workerCount; index++) {
      this.#routes.set((entry.firstWorker + index) as WorkerId, connection);
    }
    connection.open(() => this.#clock.nowMs());
    connection.listen({
      onFrame: (frame) => this.#onPeerFrame(connection, frame),
      onFramesEnd: () => this.#threads?.deliver(),
      onClosed: (error) => {
        this.#forget(connection);
        this.#onPeerLost(entry.host, error);
      },
    });
    this.#joinWhenReady();
  }

  #onPeerFrame(connection: Connection, frame: Uint8Array): void {
    if (frame[0] !== toPeerKind) {
      const decoded = readHostMessage(frame);
      if (decoded.ok && decoded.value.kind === 'pong') return;
      return connection.refuse('a frame that hosts do not send');
    }
    const envelope = readPeerEnvelope(frame);
    if (!envelope.ok) return connection.refuse(refusalText(envelope.refusal));
    const { from, to } = envelope.value;
    if (this.#routes.get(from) !== connection || this.#threads?.has(to) !== true) {
      return connection.refuse(`a frame from worker ${from} to worker ${to}, who are not there`);
    }
    this.#threads.add(to, frame);
  }

  /** Workers join once they can reach everybody: whatever they are sent then finds its way. */
  #joinWhenReady(): void {
    if (this.#description === null || this.#awaited.size > 0) return;
    for (const worker of this.#threadsReady) {
      this.#workers.add(worker);
      this.#tell({ kind: 'joined', worker });
    }
    this.#threadsReady = [];
  }

  #count({ firstWorker, workerCount }: HostEntry): void {
    this.#nextWorker = Math.max(this.#nextWorker, firstWorker + workerCount);
  }

  /** The driver has given a host up: nobody here waits for it or keeps anything of it. */
  #remove(host: string): void {
    clearTimeout(this.#suspected.get(host));
    this.#suspected.delete(host);
    this.#added.delete(host);
    this.#awaited.delete(host);
    this.#peers.get(host)?.destroy(null);
    this.#joinWhenReady();
  }

  #forget(connection: Connection): void {
    for (const [host, peer] of this.#peers) if (peer === connection) this.#peers.delete(host);
    for (const [worker, route] of this.#routes) {
      if (route === connection) this.#routes.delete(worker);
    }
  }

  #onPeerLost(host: string, error: StreamError | null): void {
    if (this.#over || error === null) return;
    const tell = (): void => {
      this.#suspected.delete(host);
      this.#tell({ kind: 'peer-lost', host, error: errorToData(error) });
    };
    const { durability } = this.#description!.config;
    if (durability === null || this.#hasJoined()) return tell();
    // Of the two the driver would give this one up, which has only just come. If the other is dead
    // the driver will know soon.
    const timer = setTimeout(tell, suspectMs);
    this.#suspected.set(host, timer.unref());
  }

  #onDriverLost(driver: Connection, error: StreamError | null): void {
    if (this.#over || this.#driver !== driver) return;
    if (this.#mayReturn()) {
      this.#driver = null;
      const { log } = this.#options;
      log('warn', `lost ${driver.peer}; its workers go on`, { workers: this.#workers.size });
      this.#return().catch((reason: unknown) => this.#ended.reject(reason));
      return;
    }
    const cause = error === null ? {} : { cause: error };
    const reason = clusterError({
      code: 'driver-lost',
      message: error === null ? 'lost the driver' : `lost the driver: ${error.message}`,
      hint: 'look for the cause in the output of the driver',
      peer: driver.peer,
      ...cause,
    });
    this.#ended.reject(this.#goesOn() ? new StartOver(reason) : reason);
  }

  /** A run that keeps nothing ends with its driver. */
  #goesOn(): boolean {
    const { config } = this.#description ?? {};
    return (config?.durability ?? null) !== null && this.#options.returnMs > 0;
  }

  /** Whoever has not begun, or whose workers have all ended, has nothing to bring. */
  #mayReturn(): boolean {
    return this.#goesOn() && this.#hasJoined();
  }

  #hasJoined(): boolean {
    return this.#threads !== null && this.#threadsReady.length === 0 && this.#workers.size > 0;
  }

  /** To the next driver, with what the workers have. */
  async #return(): Promise<void> {
    const { connect, returnMs, security, log } = this.#options;
    const description = this.#description!;
    const own = description.hosts.find(({ host }) => host === this.#id)!;
    const { planHash } = description.config;
    let driver: Connection;
    try {
      driver = await reachDriver({
        endpoints: connect,
        tls: security.tls,
        waitMs: returnMs,
        // There was a driver at one of them: it may be on its way out, or in.
        hangUpsMax: Infinity,
        log,
        introduce: async (socket, name) => {
          const connection = this.#connection(socket, name);
          await introduce(connection, {
            identity: this.#identity,
            security,
            introduction: {
              role: 'returning',
              host: this.#id,
              incarnation: this.#incarnation,
              planHash,
              address: own.address,
              port: own.port,
              workers: own.workerCount,
            },
          });
          return connection;
        },
      });
    } catch (error) {
      const cannotReturn = ['plan-mismatch', 'start-over', 'workers-complete'];
      const isRefused = error instanceof StreamError && cannotReturn.includes(error.code);
      throw isRefused ? new StartOver(error) : error;
    }
    if (this.#over) return driver.end();
    this.#offset = new ClockOffset();
    this.#follow(driver);
    const returned: ReturnedHost = {
      job: jobHash(description.config),
      firstWorker: own.firstWorker,
      workerCount: own.workerCount,
      workers: [...this.#workers],
      hosts: [...this.#peers.keys()],
      nextWorker: this.#nextWorker,
    };
    driver.tell({ kind: 'returned', text: JSON.stringify(returned) });
    log('info', `returned to ${driver.peer}`, { workers: this.#workers.size });
    this.#threads!.driverChanged();
  }

  /** What happens while there is no driver is told by what the host brings to the next one. */
  #tell(message: HostMessage): void {
    this.#driver?.tell(message);
  }

  #fail(worker: WorkerId | null, error: unknown): void {
    if (this.#over) return;
    const data = errorToData(error);
    // The next driver hears only that the worker is not there.
    if (this.#driver === null) this.#options.log('warn', data.message, { code: data.code });
    this.#tell({ kind: 'failed', worker, error: data });
  }

  /** Quick at first, so that the job starts with a good estimate; heartbeats go on with it. */
  async #probe(driver: Connection): Promise<void> {
    for (let index = 0; index < firstProbes && this.#driver === driver; index++) {
      driver.tell({ kind: 'ping', sentMs: this.#clock.nowMs() });
      await new Promise((resolve) => setTimeout(resolve, probeMs));
    }
  }

  #onPong(sentMs: number, driverMs: number): void {
    this.#offset.add(sentMs, driverMs, this.#clock.nowMs());
    if (this.#threads === null) return;
    const byMs = this.#offset.offsetMs - this.#appliedMs;
    // Within its own error the estimate says nothing new.
    if (Math.abs(byMs) <= this.#offset.errorMs) return;
    this.#appliedMs += byMs;
    this.#threads.correctClock(byMs);
  }

  async #shutDown(): Promise<void> {
    this.#over = true;
    this.#job.reject(new Error('the host ends'));
    this.#listener?.close();
    await this.#threads?.end();
    for (const connection of this.#peers.values()) connection.destroy(null);
    this.#driver?.end();
  }
}

/** Null: it did not come within the time that others may take to hear of the job. */
function soon<T>(promise: Promise<T>): Promise<T | null> {
  const late = new Promise<null>((resolve) => {
    setTimeout(() => resolve(null), welcomeMs).unref();
  });
  return Promise.race([promise, late]);
}
