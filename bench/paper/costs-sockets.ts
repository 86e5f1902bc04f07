// What messages cost both ends of a connection: one after another, and one at a time.

import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { once } from 'node:events';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { ByteWriter } from '../../src/control/protocol/byte-writer.ts';
import { writeDriverMessage } from '../../src/control/protocol/driver-codec.ts';
import { readWorkerMessage } from '../../src/control/protocol/worker-codec.ts';
import { readHostMessage } from '../../src/control/protocol/host-messages.ts';
import type { WorkerId } from '../../src/control/protocol/ids.ts';
import type { DriverMessage } from '../../src/control/protocol/messages.ts';
import { Connection } from '../../src/runtime/cluster/connection.ts';
import { spread } from '../figures.ts';
import { codecs, echo, order } from './costs-messages.ts';
import type { FromPeer, ToPeer } from './costs-peer.ts';

/** Processor time of a message, µs. */
export type BothEnds = { readonly hereUs: number; readonly thereUs: number };

/** Processor time of a message there and one back, µs, and how long they took, the median. */
export type Echo = BothEnds & { readonly elapsedUs: number };

export class Peer {
  readonly #process: ChildProcess;
  readonly #connections: Connection[];
  #onReport: () => void = () => {};

  private constructor(child: ChildProcess, sockets: readonly Socket[]) {
    this.#process = child;
    this.#connections = sockets.map((socket) => this.#open(socket));
  }

  static async start(count: number): Promise<Peer> {
    const sockets: Socket[] = [];
    const server = createServer({ noDelay: true }, (socket) => sockets.push(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const child = fork(fileURLToPath(new URL('./costs-peer.ts', import.meta.url)));
    const { port } = server.address() as AddressInfo;
    await Peer.#ask(child, { kind: 'dial', port, count });
    while (sockets.length < count) await immediate();
    server.close();
    return new Peer(child, sockets);
  }

  static async #ask(child: ChildProcess, message: ToPeer): Promise<FromPeer> {
    const answer = once(child, 'message') as Promise<[FromPeer]>;
    child.send(message);
    return (await answer)[0];
  }

  #open(socket: Socket): Connection {
    const connection = new Connection({
      peer: 'a measured process',
      socket,
      allocate: (bytes) => new Uint8Array(bytes),
      timeoutMs: 60_000,
    });
    connection.listen({
      onFrame: (frame) => {
        const decoded = readHostMessage(frame);
        if (!decoded.ok || decoded.value.kind !== 'to-driver') return;
        if (readWorkerMessage(decoded.value.message, codecs).ok) this.#onReport();
      },
      onClosed: () => {},
    });
    return connection;
  }

  /** One order on each connection a turn, encoded once, as to so many hosts. */
  async send(rounds: number): Promise<BothEnds> {
    const frames = rounds * this.#connections.length;
    await Peer.#ask(this.#process, { kind: 'take', frames });
    const done = once(this.#process, 'message') as Promise<[FromPeer]>;
    const before = process.cpuUsage();
    for (let round = 0; round < rounds; round++) {
      const message = encoded(order);
      for (const [index, connection] of this.#connections.entries()) {
        connection.tell({ kind: 'to-worker', worker: (index + 1) as WorkerId, message });
      }
      await immediate();
      await immediate();
    }
    const hereUs = usedUs(before) / frames;
    const [there] = await done;
    return { hereUs, thereUs: cpuUs(there) / frames };
  }

  async receive(rounds: number): Promise<BothEnds> {
    const frames = rounds * this.#connections.length;
    const all = Promise.withResolvers<void>();
    let left = frames;
    this.#onReport = () => {
      if (--left === 0) all.resolve();
    };
    const before = process.cpuUsage();
    const there = await Peer.#ask(this.#process, { kind: 'flood', rounds });
    await all.promise;
    const hereUs = usedUs(before) / frames;
    return { hereUs, thereUs: cpuUs(there) / frames };
  }

  /** There and back on one connection, and through a thread there as to a worker; gives ms. */
  async #echo(message: Uint8Array): Promise<number> {
    const back = Promise.withResolvers<void>();
    this.#onReport = () => back.resolve();
    const startMs = performance.now();
    this.#connections[0]!.tell({ kind: 'to-worker', worker: 1 as WorkerId, message });
    await back.promise;
    return performance.now() - startMs;
  }

  /** One message at a time, to one peer after another: whoever gets it has had nothing to do. */
  static async echo(peers: readonly Peer[], times: number): Promise<Echo> {
    const message = encoded(echo);
    const roundTripsUs: number[] = [];
    for (const peer of peers) await Peer.#ask(peer.#process, { kind: 'used' });
    const before = process.cpuUsage();
    for (let time = 0; time < times; time++) {
      roundTripsUs.push(1000 * (await peers[time % peers.length]!.#echo(message)));
    }
    const hereUs = usedUs(before) / times;
    let thereUs = 0;
    for (const peer of peers) {
      thereUs += cpuUs(await Peer.#ask(peer.#process, { kind: 'used' })) / times;
    }
    return { hereUs, thereUs, elapsedUs: spread(roundTripsUs).median };
  }

  end(): void {
    for (const connection of this.#connections) connection.destroy(null);
    if (this.#process.connected) this.#process.disconnect();
  }
}

function encoded(message: DriverMessage): Uint8Array {
  const writer = new ByteWriter();
  writeDriverMessage(writer, message, codecs);
  return Buffer.concat(writer.finish());
}

function cpuUs(answer: FromPeer): number {
  return answer.kind === 'done' ? 1000 * answer.cpuMs : NaN;
}

export function usedUs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function immediate(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
