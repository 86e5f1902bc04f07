// A connection to another process of the cluster: frames in and out, heartbeats, and the two bounds
// that make sure that nobody waits for ever: a peer that is silent, and one that stops reading.

import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { frameBytesMax, handshakeFrameBytesMax } from '../../control/limits.ts';
import { ByteWriter } from '../../control/protocol/byte-writer.ts';
import type { HostMessage } from '../../control/protocol/host-messages.ts';
import {
  pingKind,
  readHostMessage,
  writeHostMessage,
} from '../../control/protocol/host-messages.ts';
import type { Allocate } from '../../data/task/task.ts';
import type { StreamError } from '../../base/stream-error.ts';
import { clusterError } from './cluster-errors.ts';
import { FrameReader, lengthBytes } from './frame-reader.ts';

export type ConnectionOptions = {
  /** How errors call the other side: `host "a1b2" at 127.0.0.1:4100`. */
  readonly peer: string;
  readonly socket: Socket;
  readonly allocate: Allocate;
  /** A peer that is silent, or does not read, for this long is lost. */
  readonly timeoutMs: number;
};

export type ConnectionHandlers = {
  readonly onFrame: (frame: Uint8Array) => void;
  /** All frames of one arrival have been given. */
  readonly onFramesEnd?: () => void;
  /** Once, whatever happens first; `null`: closed by this side. */
  readonly onClosed: (error: StreamError | null) => void;
};

/**
 * Bytes that may wait for a peer that does not read. Workers run at most `inFlightMax`
 * micro-batches ahead of it, so that more is a fault and not a load.
 */
const waitingBytesMax = 1024 * 1024 * 1024;

/** Frames that may come before anybody listens: a handshake's, and the first ones behind it. */
const earlyFramesMax = 64;

/** How long an orderly end may take before the connection is cut, ms. */
const closeMs = 2_000;

export class Connection {
  peer: string;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #timeoutMs: number;
  #handlers: ConnectionHandlers | null = null;
  /** Frames that came before anybody listened. */
  #early: Uint8Array[] = [];
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #blockedSinceMs: number | null = null;
  #corked = false;
  #heardAtMs = performance.now();
  #suspected = false;
  #heartbeat: NodeJS.Timeout | null = null;
  /** What pings are answered with; null before the handshake is over. */
  #nowMs: (() => number) | null = null;
  #closing = false;
  #closed: { readonly error: StreamError | null } | null = null;

  constructor(options: ConnectionOptions) {
    this.peer = options.peer;
    this.#socket = options.socket;
    this.#timeoutMs = options.timeoutMs;
    this.#reader = new FrameReader({
      allocate: options.allocate,
      bytesMax: handshakeFrameBytesMax,
    });
    const { socket } = options;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, options.timeoutMs);
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('drain', () => this.#onDrain());
    socket.on('error', (error) => this.#close(this.#lost(error.message, error)));
    socket.on('close', () => this.#close(this.#closing ? null : this.#lost('it was closed')));
  }

  /** The next frame of a handshake, while nobody listens. */
  next(timeoutMs: number): Promise<Uint8Array> {
    const early = this.#early.shift();
    if (early !== undefined) return Promise.resolve(early);
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    const timer = setTimeout(() => {
      this.#close(this.#lost(`it did not introduce itself within ${timeoutMs / 1000} s`));
    }, timeoutMs);
    const onClosed = (error: StreamError | null): void => {
      clearTimeout(timer);
      reject(error ?? this.#lost('it was closed'));
    };
    if (this.#closed !== null) {
      onClosed(this.#closed.error);
      return promise;
    }
    this.#handlers = {
      onFrame: (frame) => {
        clearTimeout(timer);
        this.#handlers = null;
        resolve(frame);
      },
      onClosed,
    };
    return promise;
  }

  /** Who listens now; gets what has come already, and the end if there was one. */
  listen(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    const early = this.#early;
    this.#early = [];
    for (const frame of early) handlers.onFrame(frame);
    if (early.length > 0) handlers.onFramesEnd?.();
    if (this.#closed !== null) handlers.onClosed(this.#closed.error);
  }

  /** The handshake is over: frames may be long, and both sides send heartbeats. */
  open(nowMs: () => number): void {
    this.#reader.bytesMax = frameBytesMax;
    this.#nowMs = nowMs;
    const intervalMs = Math.min(500, this.#timeoutMs / 4);
    this.#heartbeat = setInterval(() => {
      this.tell({ kind: 'ping', sentMs: nowMs() });
      this.#check();
    }, intervalMs);
    this.#heartbeat.unref();
  }

  tell(message: HostMessage): void {
    const writer = new ByteWriter();
    writeHostMessage(writer, message);
    this.send(writer.finish());
  }

  /** Sends one frame. Everything that is sent within a turn is written together. */
  send(pieces: readonly Uint8Array[]): void {
    if (this.#closed !== null || this.#closing) return;
    let bytes = 0;
    for (const piece of pieces) bytes += piece.length;
    const length = new Uint8Array(lengthBytes);
    new DataView(length.buffer).setUint32(0, bytes, true);
    if (this.#blockedSinceMs === null) {
      this.#write(length);
      for (const piece of pieces) this.#write(piece);
      return;
    }
    this.#waiting.push(length, ...pieces);
    this.#waitingBytes += bytes;
    if (this.#waitingBytes > waitingBytesMax) this.#close(this.#stalled('too much waits for it'));
  }

  /** Ends after everything that was sent. */
  end(): void {
    if (this.#closed !== null || this.#closing) return;
    this.#flushWaiting();
    this.#closing = true;
    this.#uncork();
    this.#socket.end();
    setTimeout(() => this.#close(null), closeMs).unref();
  }

  /** Ends at once; what the peer did wrong is given to whoever listens. */
  destroy(error: StreamError | null): void {
    this.#close(error);
  }

  #write(bytes: Uint8Array): void {
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      setImmediate(() => this.#uncork());
    }
    if (!this.#socket.write(bytes)) this.#blockedSinceMs ??= performance.now();
  }

  #uncork(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#socket.uncork();
    if (!this.#socket.writableNeedDrain) this.#blockedSinceMs = null;
  }

  #onDrain(): void {
    this.#blockedSinceMs = null;
    this.#flushWaiting();
  }

  #flushWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const bytes of waiting) this.#write(bytes);
  }

  #onData(chunk: Uint8Array): void {
    if (this.#closed !== null) return;
    this.#heardAtMs = performance.now();
    const refused = this.#reader.push(chunk, (frame) => {
      if (this.#closed !== null || this.#answered(frame)) return;
      if (this.#handlers === null && this.#early.length === earlyFramesMax) {
        this.refuse('more than one frame at a time before it was let in');
      } else if (this.#handlers === null) this.#early.push(frame);
      else this.#handlers.onFrame(frame);
    });
    this.#handlers?.onFramesEnd?.();
    if (refused !== null) this.refuse(`a frame of ${refused} bytes`);
  }

  /** Pings are answered at once, by whoever stands between the socket and the work. */
  #answered(frame: Uint8Array): boolean {
    if (frame[0] !== pingKind || this.#nowMs === null) return false;
    const ping = readHostMessage(frame);
    if (!ping.ok || ping.value.kind !== 'ping') return false;
    this.tell({ kind: 'pong', sentMs: ping.value.sentMs, nowMs: this.#nowMs() });
    return true;
  }

  /** What came makes no sense: the connection is over. */
  refuse(what: string): void {
    this.#close(
      clusterError({
        code: 'malformed-frame',
        message: `could not read from ${this.peer}: ${what}`,
        hint: 'is it another program, or a release of another protocol?',
        peer: this.peer,
      }),
    );
  }

  /** A stall of this process must not look like one of the peer: it is checked twice. */
  #check(): void {
    const nowMs = performance.now();
    const blockedSinceMs = this.#blockedSinceMs;
    const silent = nowMs - this.#heardAtMs > this.#timeoutMs;
    const stalled = blockedSinceMs !== null && nowMs - blockedSinceMs > this.#timeoutMs;
    const wasSuspected = this.#suspected;
    this.#suspected = silent || stalled;
    if (!this.#suspected || !wasSuspected) return;
    const seconds = `${this.#timeoutMs / 1000} s`;
    if (stalled) return this.#close(this.#stalled(`it has not read for ${seconds}`));
    this.#close(
      clusterError({
        code: 'peer-silent',
        message: `lost ${this.peer}: it has said nothing for ${seconds}`,
        hint: 'is its machine overloaded, paused, or cut off? `--timeout` gives it longer',
        peer: this.peer,
      }),
    );
  }

  #stalled(why: string): StreamError {
    return clusterError({
      code: 'peer-stalled',
      message: `lost ${this.peer}: ${why}`,
      hint: 'is its machine overloaded or paused? `--timeout` gives it longer',
      peer: this.peer,
    });
  }

  #lost(why: string, cause?: unknown): StreamError {
    return clusterError({
      code: 'peer-closed',
      message: `lost the connection to ${this.peer}: ${why}`,
      hint: 'look for the cause in the output of that process',
      peer: this.peer,
      cause,
    });
  }

  #close(error: StreamError | null): void {
    if (this.#closed !== null) return;
    this.#closed = { error };
    if (this.#heartbeat !== null) clearInterval(this.#heartbeat);
    this.#waiting = [];
    this.#socket.destroy();
    this.#handlers?.onClosed(error);
  }
}
